"""A step computes on its device alone: no operand from the host, no copy from it or to it.

On CUDA such a copy would break the capture of a step, or be repeated as it was. Checked on the CPU with tensors of
the device "meta", which have shapes and no values: whatever else meets them is noticed.
"""

from typing import Any

import pytest
import torch
from layer_cases import BEYOND
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from asymbp_cli.bench.steps import make_random_data
from asymbp_cli.specs.methods import PAPER_METHODS, Method, parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training import draws
from asymbp_cli.training.engine import Trainer
from asymbp_cli.training.evaluation import Evaluation

META = torch.device("meta")
NETWORK = Network(
    input=(9, 9, 2),
    layers=("Conv 3x3x4/1", "Max 2x2/2 pad_end 1", "Conv 3x3x5/1 pad 1", "Avg 2x2/2", "FC 6", "FC 3"),
)


class _OnDevice(TorchDispatchMode):
    """Notes every operation with a tensor that is not on the device."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.elsewhere: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, out)) if isinstance(t, Tensor)]
        self.seen.add(str(func.overloadpacket.__name__))
        if any(t.device != META for t in tensors):
            self.elsewhere.append(f"{func}: {[str(t.device) for t in tensors]}")
        return out


@pytest.fixture
def _host_generators(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no generator of values that do not exist."""
    real = draws.generator
    monkeypatch.setattr(draws, "generator", lambda *key, device="cpu": real(*key))


def _trainer(methods: list[Method], **protocol: Any) -> Trainer:
    settings = Protocol.model_validate({"batch_size": 7, **protocol})
    runs = tuple(
        Run(dataset="x", network=NETWORK, method=method, protocol=settings, rate_multiplier=1.0, seed=0)
        for method in methods
    )
    return Trainer(Stack(runs), make_random_data(NETWORK, 3, 20, META), META)


def _check(trainer: Trainer) -> set[str]:
    """Train two mini-batches, of both sizes, and test; return the operations that did it."""
    count = len(trainer.stack.runs)
    trainer.begin_epoch(1, range(count))
    batches = trainer.batches(1)
    coming = trainer.statistics_batches(1)
    evaluation: Evaluation = trainer.evaluation
    evaluation._use_replicas(range(count))
    with _OnDevice() as noted:
        for index in (batches[0], batches[-1]):
            trainer.step(index)
        evaluation.observe(coming)
        for split, captured in evaluation._counting:
            evaluation._counts(split, captured)
    assert not noted.elsewhere
    return noted.seen


NAMES = sorted({*PAPER_METHODS, "BM3 Top", "BN+BM2", "brSF-50%", "frSF-50%+BM", "brSF Bottom", "RndF+BN+BM3"})
NAMES += [name for stack in BEYOND for name in stack]


@pytest.mark.usefixtures("_host_generators")
@pytest.mark.parametrize("precision", ["standard", "bf16"])
@pytest.mark.parametrize("name", NAMES)
def test_every_method_computes_on_its_device(name: str, precision: str) -> None:
    seen = _check(_trainer([parse_method(name)], precision=precision))
    assert {"convolution", "_log_softmax", "addcmul"} <= seen


@pytest.mark.usefixtures("_host_generators")
@pytest.mark.parametrize(
    "choice",
    [
        {"gradient": "mean"},
        {"zero_sign": 1},
        {"gradient_clip": 1.0, "nesterov": True},
        {"loss": "squared-error"},
        {"crop_padding": 2, "horizontal_flip": True},
        {"biases": "none", "bias_gradient": 0.5},
        {"average_pool_border": "padded"},
        {"biases": "all", "manhattan_biases": False, "decay_biases": False},
        {"batch_norm_epsilon": 0.1, "batch_norm_average": 0.5},
    ],
    ids=str,
)
def test_every_choice_of_the_protocol_computes_on_its_device(choice: dict[str, Any]) -> None:
    for normalization in ("none", "plain", "learnable"):
        methods = [
            parse_method(name).model_copy(update={"batch_norm": normalization})
            for name in ("SGD", "BM", "BM2", "BM3", "uSF", "NuSF", "brSF-25%+BM", "frSF-25%", "RndF")
        ]
        _check(_trainer(methods, **choice))


def test_what_is_elsewhere_is_noticed() -> None:
    with _OnDevice() as noted:
        torch.ones(2, device=META) * torch.tensor(2.0)
        torch.ones(2, device=META).add_(1)
        torch.ones(2).to(META)
    assert len(noted.elsewhere) >= 2
    assert not any("add_" in text for text in noted.elsewhere)
