"""The protocol `matconvnet` trains as cnn_train.m of MatConvNet 1.0-beta14 does: an epoch in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.resident import load
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training.engine import Trainer

NETWORK = Network(input=(8, 8, 1), layers=("Conv 3x3x4/1", "Max 2x2/2", "FC 12", "FC classes")).resolve(10)
RATE = 0.05  # 100 times the base rate of 5e-4
DECAYS = {"weight": 1, "bias": 1, "scale": 0, "shift": 0}  # net.layers{l}.weightDecay; [0 0] in insertBnorm


def forward(x: Tensor, w: dict[str, Tensor], bnorm: bool) -> Tensor:
    """Return the logits of images [B, 1, 8, 8]: convolution, BN, ReLU and pooling, then two FC layers."""

    def normalized(x: Tensor, layer: int) -> Tensor:
        if not bnorm:
            return x
        axes, shape = [0, *range(2, x.ndim)], [1, -1, *[1] * (x.ndim - 2)]
        mean = x.mean(axes, keepdim=True)
        variance = (x - mean).square().mean(axes, keepdim=True)
        scale, shift = (w[f"{layer}.{kind}"].view(shape) for kind in ("scale", "shift"))
        return scale * (x - mean) / (variance + 1e-4).sqrt() + shift

    x = F.max_pool2d(normalized(F.conv2d(x, w["1.weight"], w.get("1.bias")), 1).relu(), 2)
    x = x.permute(0, 2, 3, 1).flatten(1)
    x = normalized(F.linear(x, w["3.weight"], w.get("3.bias")), 3).relu()
    return F.linear(x, w["4.weight"], w["4.bias"])


@pytest.mark.parametrize("method", ["SGD", "BN"])
def test_an_epoch_equals_matconvnets_in_float64(method: str, digits_info: DecodedDataset) -> None:
    protocol, _ = load_protocol("matconvnet")
    data = load(digits_info, preprocessing=protocol.preprocessing)
    run = Run(
        dataset=digits_info.fingerprint,
        network=NETWORK,
        method=parse_method(method),
        protocol=protocol,
        rate_multiplier=100.0,
        seed=0,
    )
    trainer = Trainer(Stack((run,)), data, torch.device("cpu"))
    weights = {name: w[0].detach().double().clone() for name, w in trainer.bank.parameters(0).items()}
    drawn = torch.cat([w.flatten() for name, w in weights.items() if "weight" in name])
    assert drawn.std().item() == pytest.approx(0.01, rel=0.1)
    grey = data.train.x.double()
    images = (grey - grey.mean(0)).permute(0, 3, 1, 2)
    momenta = {name: torch.zeros_like(w) for name, w in weights.items()}
    trainer.begin_epoch(1, [0])
    for batch in trainer.batches(1):
        trainer.step(batch)
        leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
        logits = forward(images[batch], leaves, bnorm=method == "BN")
        F.cross_entropy(logits, data.train.y[batch], reduction="sum").backward()
        for name, leaf in leaves.items():
            decay = 0.0005 * DECAYS[name.partition(".")[2]]
            assert leaf.grad is not None
            momenta[name] = 0.9 * momenta[name] - decay * weights[name] - leaf.grad / len(batch)
            weights[name] = weights[name] + RATE * momenta[name]
    for name, w in trainer.bank.parameters(0).items():
        torch.testing.assert_close(w[0].detach().double(), weights[name], rtol=1e-4, atol=1e-6, msg=name)
