"""What a program records is all that it does: replaying it trains as the plain calls do.

A CUDA graph is stood in for by `recorded`, which keeps the operations below autograd and runs them again on the
same tensors: whatever else a step depends on, a number of Python's say, stays as it was at the recording.
"""

import gc
import math
import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from asymbp_cli import engine
from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.engine import Trainer
from asymbp_cli.errors import ran_out_of_memory
from asymbp_cli.events import EpochEnded
from asymbp_cli.methods import parse_method
from asymbp_cli.networks import NETWORKS
from asymbp_cli.program import Branches, Program
from asymbp_cli.protocol import Protocol
from asymbp_cli.runs import Run, Stack


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


@pytest.mark.parametrize(
    "methods",
    [
        ("SGD", "BM3", "brSF-25%", "frSF", "RndF"),
        ("uSF+BN", "brSF+BN+BM"),
        ("BN", "BN+BM"),
        ("uSF+BN Top", "uSF+BN+BM Top"),
    ],
)
@pytest.mark.parametrize("precision", ["standard", "bf16"])
def test_a_recorded_training_equals_a_plain_one(
    methods: tuple[str, ...], precision: str, digits: ResidentData, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = Protocol.model_validate({"epochs": 9, "precision": precision, "momentum_at_change": "reset"})
    network = NETWORKS["digits"].resolve(10)
    runs = tuple(
        Run(dataset="x", network=network, method=parse_method(m), protocol=protocol, rate_multiplier=r, seed=0)
        for m in methods
        for r in (1e6, 1.0)  # one of them diverges, and the programs are recorded anew
    )

    def train() -> list[EpochEnded]:
        trainer, found = Trainer(Stack(runs), digits, torch.device("cpu")), []
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

    monkeypatch.setattr(engine, "_recorder", lambda device, generators: noticed)
    again = train()
    kinds = Counter(map(_name, calls))
    assert kinds["_compute"] >= 4  # two sizes of mini-batches, before a replica died and after
    assert kinds["_count"] >= 4
    assert bool(kinds["_observe"]) == any("BN" in m for m in methods)
    told = [(e.run, e.epoch, repr(e.train_loss), e.train_wrong, repr(e.test_loss), e.test_wrong) for e in plain]
    assert told == [
        (e.run, e.epoch, repr(e.train_loss), e.train_wrong, repr(e.test_loss), e.test_wrong) for e in again
    ]


def _name(recorded_function: Any) -> str:
    """Return the name of what a program computes, which it has wrapped with the indices to compute it of."""
    compute = recorded_function.__closure__[0].cell_contents
    return str(getattr(compute, "func", compute).__name__)


def test_a_program_is_recorded_per_size_and_forgets() -> None:
    seen, recordings = [], []

    def record(compute: Callable[[], None]) -> Callable[[], None]:
        recordings.append(compute)
        return compute

    def compute(index: Tensor) -> None:
        seen.append(index.tolist())

    program = Program(record)
    for number in range(6):
        program(compute, torch.tensor([number]))
        program(compute, torch.tensor([number, number]))
    assert seen == [found for n in range(6) for found in ([n], [n, n])]
    assert len(recordings) == 2
    program.forget()
    program(compute, torch.tensor([7]))
    assert (len(recordings), seen[-1]) == (3, [7])


def _four_times(program: Program, compute: Callable[[Tensor], None]) -> None:
    for _ in range(4):
        program(compute, torch.tensor([1]))


def test_what_cannot_be_recorded_is_computed_plainly_and_said() -> None:
    seen: list[int] = []

    def record(_: object) -> Callable[[], None]:
        raise RuntimeError("operation not permitted when stream is capturing")

    def compute(index: Tensor) -> None:
        seen.append(len(index))

    program = Program(record)
    with pytest.warns(UserWarning, match="could not be captured, going on without: operation not permitted"):
        _four_times(program, compute)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program(compute, torch.tensor([1]))  # said once
    assert len(seen) == 5


def test_memory_that_is_too_small_for_a_recording_is_not_hidden() -> None:
    def record(_: object) -> Callable[[], None]:
        try:
            raise torch.OutOfMemoryError("tried to allocate")
        except torch.OutOfMemoryError:  # as the end of a broken capture raises
            raise RuntimeError("the capture was invalidated")  # noqa: B904

    program = Program(record)
    with pytest.raises(RuntimeError, match="invalidated") as caught:
        _four_times(program, lambda index: None)
    assert ran_out_of_memory(caught.value)
    assert not ran_out_of_memory(RuntimeError("another"))


def test_a_stack_that_is_dropped_leaves_no_memory_behind(
    digits: ResidentData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU the next stack needs it at once, not when Python's garbage collector comes by."""
    monkeypatch.setattr(engine, "_recorder", lambda device, generators: recorded)
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


def test_ctrl_c_during_a_recording_is_not_lost() -> None:
    def record(_: object) -> Callable[[], None]:
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("the capture was invalidated")

    with pytest.raises(KeyboardInterrupt):
        _four_times(Program(record), lambda index: None)


class _Stream:
    """Stands in for a CUDA stream: what was asked for on it, or before something that it waits for."""

    def __init__(self) -> None:
        self.done: list[int] = []

    def record_event(self) -> list[int]:
        return list(self.done)

    def wait_event(self, event: list[int]) -> None:
        self.done += event

    def wait_stream(self, other: "_Stream") -> None:
        self.done += other.done


def test_branches_wait_for_what_came_before_and_for_no_other_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    current = [_Stream()]

    @contextmanager
    def on(stream: _Stream) -> Iterator[None]:
        current.append(stream)
        yield
        current.pop()

    pool = [current[0], *(_Stream() for _ in range(31))]  # 32 in all, one of them the program's own
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: pool.pop(0))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: current[-1])
    monkeypatch.setattr(torch.cuda, "stream", on)
    branches, before, seen = Branches(torch.device("cuda"), 40), -1, {}
    current[0].done.append(before)
    for replica in range(40):
        with branches.branch(replica):
            seen[replica] = set(current[-1].done)
            current[-1].done.append(replica)
    branches.join()
    for replica in range(40):
        assert seen[replica] == ({before} if replica < 32 else {before, replica - 32})
    assert set(current[0].done) == {before, *range(40)}


def test_branches_of_a_cpu_are_the_loop() -> None:
    branches, order = Branches(torch.device("cpu"), 3), []
    for replica in range(3):
        with branches.branch(replica):
            order.append(replica)
    branches.join()
    assert order == [0, 1, 2]
