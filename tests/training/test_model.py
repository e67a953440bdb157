"""The flat row and the forward pass, against torch.nn modules with the same weights."""

import pytest
import torch
from torch import Tensor, nn

from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs.layers import FC, Conv, Pool
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.training.layers import batch_norm
from asymbp_cli.training.model import Model

NETS = {
    **{name: NETWORKS[name] for name in ("mnist", "cifar", "svhn", "timit", "digits")},
    "odd": Network(
        input=(11, 9, 3),
        layers=(
            "Max 2x2/1",
            "Conv 3x2x6/2 pad 1 groups 3",
            "Avg 2x2/2",
            "Conv 2x2x4/1 dilation 2 pad 2",
            "FC classes",
        ),
    ),
}


def _normalize(layer: int, x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    return batch_norm(x, scale, shift, epsilon=1e-5)


def _modules(network: Network, batch_norm: bool, weights: dict[str, Tensor]) -> nn.Sequential:
    """The network as a user of PyTorch would write it; an FC layer flattens (height, width, channel)."""
    modules: list[nn.Module] = []
    layers = network.parsed()
    last = max(number for number, layer in enumerate(layers, start=1) if not isinstance(layer, Pool))
    for number, (layer, shape) in enumerate(zip(layers, network.shapes(), strict=False), start=1):
        if isinstance(layer, Conv):
            module: nn.Module = nn.Conv2d(
                shape[2],
                layer.features,
                layer.kernel,
                layer.stride,
                layer.padding,
                layer.dilation,
                layer.groups,
                bias=f"{number}.bias" in weights,
            )
        elif isinstance(layer, FC):
            if len(shape) == 3:
                modules += [_ToLast(), nn.Flatten()]
            module = nn.Linear(
                weights[f"{number}.weight"].shape[1], layer.features, bias=f"{number}.bias" in weights
            )
        else:
            pad = layer.padding_end
            kind = nn.MaxPool2d if layer.kind == "max" else nn.AvgPool2d
            modules.append(kind(layer.size, layer.stride, ceil_mode=bool(pad)))
            continue
        state = {name.split(".")[1]: w for name, w in weights.items() if name.startswith(f"{number}.")}
        norm = {"weight": state.pop("scale", None), "bias": state.pop("shift", None)}
        module.double().load_state_dict(state)
        modules.append(module)
        if batch_norm and number != last:
            features = layer.features
            learnable = norm["weight"] is not None
            make = nn.BatchNorm2d if isinstance(layer, Conv) else nn.BatchNorm1d
            bn = make(features, affine=learnable, track_running_stats=False)
            if learnable:
                bn.double().load_state_dict(norm)
            modules.append(bn)
        if number != last:
            modules.append(nn.ReLU())
    return nn.Sequential(*modules)


class _ToLast(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).contiguous()


@pytest.mark.parametrize("method", ["SGD", "BN", "uSF+BN"])
@pytest.mark.parametrize("name", NETS)
def test_forward_and_gradients_equal_torch_modules(name: str, method: str) -> None:
    network = NETS[name].resolve(7)
    model = Model.of(network, Protocol(), parse_method(method))
    row = model.initial_row(3).double()
    row += 0.01 * torch.rand(row.shape, generator=torch.Generator().manual_seed(0)).double()
    row.requires_grad_()
    weights = model.views(row[None])
    shape = network.input if len(network.input) == 1 else (network.input[2], *network.input[:2])
    x = torch.randn(4, *shape, generator=torch.Generator().manual_seed(1)).double()
    if x.ndim == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    modules = _modules(network, "BN" in method, {name: w[0].detach() for name, w in weights.items()}).double()
    ours = model.forward(x, weights, {}, _normalize)
    theirs = modules(x)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)

    y = torch.tensor([0, 1, 2, 6])
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(ours, y), row)
    nn.functional.cross_entropy(theirs, y).backward()
    found = {name: part[0] for name, part in model.views(gradient[None]).items()}
    weighted = [number for number, layer in enumerate(network.parsed(), start=1) if not isinstance(layer, Pool)]
    made = [module for module in modules if isinstance(module, nn.Conv2d | nn.Linear)]
    for number, expected in zip(weighted, made, strict=True):
        torch.testing.assert_close(found[f"{number}.weight"], expected.weight.grad, rtol=1e-8, atol=1e-11)
        if expected.bias is not None:
            torch.testing.assert_close(found[f"{number}.bias"], expected.bias.grad, rtol=1e-8, atol=1e-11)


def test_row_holds_every_parameter_once() -> None:
    model = Model.of(NETWORKS["cifar"].resolve(10), Protocol(), parse_method("BN"))
    used = torch.zeros(model.row_size)
    for view in model.views(used[None]).values():
        view += 1
    assert used.max() == 1
    # BN replaces the biases of all layers but the last with scale and shift
    biases = 32 + 64 + 64 + 128
    assert int(used.sum()) == NETWORKS["cifar"].resolve(10).parameter_count() - biases + 2 * biases


def test_feedback_weights_are_a_prefix_without_the_first_layer() -> None:
    model = Model.of(NETWORKS["mnist"].resolve(10), Protocol(), parse_method("uSF"))
    assert [p.name for p in model.fed] == ["3.weight", "5.weight", "6.weight"]
    assert all(p.start + p.size <= model.feedback_size for p in model.fed)
    assert all(p.start >= model.feedback_size for p in model.parameters if p not in model.fed)
    assert [p.fan_in for p in model.fed] == [5 * 5 * 20, 800, 500]


@pytest.mark.parametrize(
    ("initialization", "std"),
    [
        ("glorot-normal", (2 / (800 + 500)) ** 0.5),
        ("glorot-uniform", (2 / (800 + 500)) ** 0.5),
        ("he-normal", (2 / 800) ** 0.5),
        ("pytorch-uniform", (1 / (3 * 800)) ** 0.5),
        ("normal", 0.01),
    ],
)
def test_initialization(initialization: str, std: float) -> None:
    protocol = Protocol.model_validate({"initialization": initialization})
    model = Model.of(NETWORKS["mnist"].resolve(10), protocol, parse_method("SGD"))
    weights, again, other = (model.views(model.initial_row(seed)[None]) for seed in (0, 0, 1))
    assert weights["5.weight"].std().item() == pytest.approx(std, rel=0.01)
    assert not weights["5.bias"].any()
    assert not torch.equal(weights["5.weight"], other["5.weight"])
    assert torch.equal(weights["5.weight"], again["5.weight"])


def _never(number: int, x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    raise AssertionError("there is no normalization")


@pytest.mark.parametrize(("border", "corner"), [("inside", 1.0), ("padded", 4 / 9)])
def test_average_pooling_at_the_padded_border(border: str, corner: float) -> None:
    network = Network(input=(4, 4, 1), layers=("Avg 3x3/2 pad_end 1", "FC classes")).resolve(2)
    model = Model(network, Protocol.model_validate({"average_pool_border": border}), "none")
    ends = torch.eye(4)[[0, 3]][None]  # what an FC layer takes of the first cell and of the last
    (found,) = model.forward(torch.ones(1, 1, 4, 4), {"2.weight": ends}, {}, _never).tolist()
    assert found == [1, pytest.approx(corner)]
