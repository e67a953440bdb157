"""Steps of a converted `nn.Sequential` under `torch.optim.SGD`, against the engine's on its own network."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import asymbp_cli as asymbp
from asymbp_cli.bench.steps import make_random_data
from asymbp_cli.modules.layers import Asymmetric
from asymbp_cli.specs.feedback import Feedback
from asymbp_cli.specs.methods import Method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training.engine import Trainer
from asymbp_cli.training.model import Parameter

NETWORK = Network(
    input=(9, 8, 2), layers=("Conv 3x3x6/1 pad 1", "Max 2x2/2", "Conv 3x2x5/1", "FC 8", "FC classes")
)
RATE = 3e-5


class InOrderOfRows(nn.Module):
    """Flattens images as the engine does: in (height, width, channel) order."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def make_trainer(feedback: Feedback, gradient: str) -> Trainer:
    network = NETWORK.resolve(10)
    protocol = Protocol.model_validate({"epochs": 3, "batch_size": 50, "gradient": gradient, "base_rate": RATE})
    run = Run(
        dataset="x",
        network=network,
        method=Method(feedback=feedback),
        protocol=protocol,
        rate_multiplier=1.0,
        seed=3,
    )
    device = torch.device("cpu")
    return Trainer(Stack((run,)), make_random_data(network, 10, 230, device), device)


def make_module() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 5, (3, 2)),
        nn.ReLU(),
        InOrderOfRows(),
        nn.Linear(30, 8),
        nn.ReLU(),
        nn.Linear(8, 10),
    )


def weighted(module: nn.Sequential) -> list[nn.Module]:
    return [layer for layer in module if hasattr(layer, "weight")]


def v_of(trainer: Trainer, part: Parameter, *, direct: bool) -> Tensor:
    """Return V of a layer in the order of the module's inputs."""
    V = trainer.bank.feedback(0)[part.name][0]
    operation = next(op for op in trainer.model.weighted if op.number == part.layer)
    if direct and len(operation.before) == 3 and operation.number != 4:  # images that are not flattened
        return V.reshape(len(V), *operation.before).permute(0, 3, 1, 2).flatten(1)
    return V


@torch.no_grad()
def copy_weights(trainer: Trainer, module: nn.Sequential) -> None:
    named = trainer.bank.parameters(0)
    for op, layer in zip(trainer.model.weighted, weighted(module), strict=True):
        layer.weight.copy_(named[f"{op.number}.weight"][0])
        layer.bias.copy_(named[f"{op.number}.bias"][0])


@pytest.mark.parametrize(
    ("scheme", "gradient"),
    [
        ("bp", "sum"),
        ("usf", "sum"),
        ("nusf", "mean"),
        ("fa", "sum"),
        ("ternary", "mean"),
        ("kp", "sum"),
        ("pfa", "sum"),
        ("pfa-o", "sum"),
        ("dfa", "sum"),
        ("sdfa", "mean"),
        ("sdfa", "sum"),
        ("drtp", "mean"),
        ("dkp", "sum"),
    ],
)
def test_steps_equal_the_engine_s(scheme: str, gradient: str) -> None:
    feedback = Feedback(scheme=scheme)
    trainer = make_trainer(feedback, gradient)
    trainer.begin_epoch(1, [0])
    module = make_module()
    copy_weights(trainer, module)
    batches = [trainer.data.batch(trainer.data.train, index) for index in trainer.batches(1)[:4]]
    asymbp.convert(module, feedback, example_input=batches[0][0], reduction=gradient)  # type: ignore[arg-type]
    direct = feedback.kind.route != "layerwise"
    fed = list(zip(sorted(trainer.model.fed, key=lambda p: p.layer), weighted(module)[1:], strict=True))
    with torch.no_grad():
        for part, layer in fed:
            if hasattr(layer, "feedback_weight"):
                layer.feedback_weight.copy_(v_of(trainer, part, direct=direct))
            if hasattr(layer, "feedback_square"):
                B = draw_square(trainer, part)
                layer.feedback_square.copy_(B)
    optimizer = torch.optim.SGD(module.parameters(), RATE, momentum=0.9, weight_decay=5e-4)
    for index, (x, y) in zip(trainer.batches(1)[:4], batches, strict=True):
        trainer.step(index)
        if scheme == "drtp":
            asymbp.set_targets(module, y)
        optimizer.zero_grad()
        F.cross_entropy(module(x), y, reduction=gradient).backward()
        optimizer.step()
    named = trainer.bank.parameters(0)
    start = trainer.model.views(trainer.model.initial_row(3)[None])
    for op, layer in zip(trainer.model.weighted, weighted(module), strict=True):
        moved = (layer.weight - start[f"{op.number}.weight"][0]).norm()
        assert moved > 100 * (layer.weight - named[f"{op.number}.weight"][0]).norm()
        torch.testing.assert_close(layer.weight, named[f"{op.number}.weight"][0], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(layer.bias, named[f"{op.number}.bias"][0], rtol=1e-4, atol=1e-6)
    for part, layer in fed:
        if feedback.kind.learned:
            assert isinstance(layer, Asymmetric)
            torch.testing.assert_close(
                layer.feedback_weight, v_of(trainer, part, direct=direct), rtol=1e-4, atol=1e-6
            )


def draw_square(trainer: Trainer, part: Parameter) -> Tensor:
    """Return B B^T of PFA's fixed B, as the engine draws it."""
    from asymbp_cli.training.feedback.schemes import draw_path
    from asymbp_cli.training.feedback.site import Site

    B, _ = draw_path(Site(trainer.model, 3, torch.zeros(1, trainer.model.feedback_size)), part, 10.0)
    return B @ B.T
