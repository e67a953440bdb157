"""What is captured is all that a step does: replaying it trains as the plain calls do.

A CUDA graph is stood in for by `recorded`, which keeps the operations below autograd and runs them again on the
same tensors: whatever else a step depends on, a number of Python's say, stays as it was at the capture.
"""

import gc
import math
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from layer_cases import BEYOND
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from asymbp_cli.bench.steps import make_random_data
from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.errors import CaptureError, ran_out_of_memory
from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs.measures import ON_REQUEST
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training import engine
from asymbp_cli.training.cuda_graphs import Captured
from asymbp_cli.training.engine import Trainer


class _Tape(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], list[Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, [t for t in tree_leaves(out) if isinstance(t, Tensor)]))
        return out


def recorded(compute: Callable[[], None]) -> Callable[[], None]:
    tape = _Tape()
    with tape:
        compute()
    waiting = [True]  # unlike a capture, recording has computed; so the first replay has nothing left to do

    @torch.no_grad()
    def replay() -> None:
        if waiting:
            waiting.clear()
            return
        for func, args, kwargs, outs in tape.calls:
            now = [t for t in tree_leaves(func(*args, **kwargs)) if isinstance(t, Tensor)]
            for old, new in zip(outs, now, strict=True):
                if old.data_ptr() != new.data_ptr():  # neither a view nor in place
                    old.copy_(new)

    return replay


class Tapes:
    """Stands in for CudaGraphs; `capture` is what it does for a capture."""

    def __init__(self, capture: Callable[[Callable[[], None]], Callable[[], None]] = recorded) -> None:
        self.capture = capture

    def run(self, compute: Callable[[], None]) -> None:
        compute()


#: choices that change what a step computes, and from phase to phase
OTHERS: dict[str, Any] = {
    "phases": [{"share": 1, "factor": 1, "decay": decay} for decay in (1.0, 0.5)],
    "loss": "sigmoid-cross-entropy",
    "bias_gradient": 0.5,
    "gradient_clip": 1.0,
    "nesterov": True,
    "crop_padding": 1,
    "horizontal_flip": True,
    "measure": ON_REQUEST,
}


@pytest.mark.parametrize(
    "methods",
    [
        ("SGD", "BM3", "brSF-25%", "frSF", "RndF"),
        ("uSF+BN", "brSF+BN+BM"),
        ("BN", "BN+BM"),
        ("uSF+BN Top", "uSF+BN+BM Top"),
        *BEYOND,
    ],
)
@pytest.mark.parametrize("choices", [{}, {"precision": "bf16"}, OTHERS], ids=["standard", "bf16", "others"])
def test_a_recorded_training_equals_a_plain_one(
    methods: tuple[str, ...], choices: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = Protocol.model_validate({"epochs": 9, "momentum_at_change": "reset", **choices})
    network = NETWORKS["digits"].resolve(10)
    if choices is OTHERS:
        network = network.model_copy(update={"activation": "tanh"})
    data = make_random_data(network, 10, 330, torch.device("cpu"))
    runs = tuple(
        Run(dataset="x", network=network, method=parse_method(m), protocol=protocol, rate_multiplier=r, seed=0)
        for m in methods
        for r in (1e6, 1.0)  # one of them diverges, and the programs are recorded anew
    )

    def train() -> list[EpochEnded]:
        trainer, found = Trainer(Stack(runs), data, torch.device("cpu")), []
        for epoch in range(1, protocol.epochs + 1):
            if epoch == 6:  # when everything has been recorded
                trainer.bank.weights[1].detach().fill_(math.nan)
            found += [e for e in trainer.train_epoch(epoch) if isinstance(e, EpochEnded)]
        return found

    plain, calls = train(), []
    assert [e.epoch for e in plain if e.run == runs[1].id and e.diverged] == [6, 7, 8, 9]

    def noticed(compute: Callable[[], None]) -> Callable[[], None]:
        calls.append(compute)
        return recorded(compute)

    monkeypatch.setattr(engine, "make_graphs", lambda device, generators: Tapes(noticed))
    again = train()
    kinds = Counter(map(_name, calls))
    times = 4 if len(methods) > 1 else 2  # two sizes of mini-batches, before a replica died and after
    assert kinds["_compute"] >= times
    assert kinds["_count"] >= times
    assert bool(kinds["_observe"]) == any("BN" in m for m in methods)
    told, repeated = (
        [(e.run, e.epoch, repr(e.train_loss), e.train_wrong, repr(e.test_loss), e.measures) for e in events]
        for events in (plain, again)
    )
    assert told == repeated


def _name(recorded_function: Any) -> str:
    """Return the name of what a program computes, which is wrapped with the indices to compute it of."""
    compute = recorded_function.__closure__[0].cell_contents
    return str(getattr(compute, "func", compute).__name__)


def test_captures_are_per_size_and_forgotten() -> None:
    seen, captures = [], []

    def capture(compute: Callable[[], None]) -> Callable[[], None]:
        captures.append(compute)
        return compute

    def compute(index: Tensor) -> None:
        seen.append(index.tolist())

    captured = Captured(Tapes(capture))
    for number in range(6):
        captured(compute, torch.tensor([number]))
        captured(compute, torch.tensor([number, number]))
    assert seen == [found for n in range(6) for found in ([n], [n, n])]
    assert len(captures) == 2
    assert captured.sizes == {1, 2}
    captured.forget()
    captured(
        compute, torch.tensor([7])
    )  # plainly: a kernel may have to be compiled for the replicas that are left
    assert (len(captures), seen[-1], captured.sizes) == (2, [7], set())
    captured(compute, torch.tensor([8]))
    assert (len(captures), seen[-1], captured.sizes) == (3, [8], {1})


def _four_times(captured: Captured, compute: Callable[[Tensor], None]) -> None:
    for _ in range(4):
        captured(compute, torch.tensor([1]))


def test_what_cannot_be_captured_says_that_its_process_is_of_no_more_use() -> None:
    seen: list[int] = []

    def capture(_: object) -> Callable[[], None]:
        raise RuntimeError("operation not permitted when stream is capturing\nsecond line")

    with pytest.raises(CaptureError) as caught:
        _four_times(Captured(Tapes(capture)), lambda index: seen.append(len(index)))
    assert str(caught.value) == (
        "a CUDA graph could not be captured (operation not permitted when stream is capturing); "
        "this process can no longer use its GPU"
    )
    assert not ran_out_of_memory(caught.value)
    assert len(seen) == 3  # nothing goes on in this process


def test_memory_that_is_too_small_for_a_capture_is_not_hidden() -> None:
    def capture(_: object) -> Callable[[], None]:
        try:
            raise torch.OutOfMemoryError("tried to allocate")
        except torch.OutOfMemoryError:  # as the end of a broken capture raises
            raise RuntimeError("the capture was invalidated")  # noqa: B904

    with pytest.raises(CaptureError, match="invalidated") as caught:
        _four_times(Captured(Tapes(capture)), lambda index: None)
    assert ran_out_of_memory(caught.value)
    assert not ran_out_of_memory(RuntimeError("another"))


def test_a_stack_that_is_dropped_leaves_no_memory_behind(
    digits: ResidentData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU the next stack needs it at once, not when Python's garbage collector comes by."""
    monkeypatch.setattr(engine, "make_graphs", lambda device, generators: Tapes())
    protocol = Protocol(epochs=4)
    network = NETWORKS["digits"].resolve(10)
    method = parse_method("brSF-25%+BN")
    run = Run(dataset="x", network=network, method=method, protocol=protocol, rate_multiplier=1.0, seed=0)
    gc.collect()
    gc.disable()
    try:
        trainer = Trainer(Stack((run,)), digits, torch.device("cpu"))
        for epoch in range(1, 5):
            list(trainer.train_epoch(epoch))
        weights = weakref.ref(trainer.bank.weights)
        del trainer
        assert weights() is None
    finally:
        gc.enable()


def test_ctrl_c_during_a_capture_is_not_lost() -> None:
    def capture(_: object) -> Callable[[], None]:
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("the capture was invalidated")

    with pytest.raises(KeyboardInterrupt):
        _four_times(Captured(Tapes(capture)), lambda index: None)
