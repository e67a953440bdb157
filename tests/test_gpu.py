"""CUDA against the CPU. Skipped, and not counted as passed, where there is no GPU."""

from dataclasses import replace
from typing import Literal

import pytest
import torch

from asymbp_cli import engine
from asymbp_cli.bank import Bank
from asymbp_cli.datasets.info import DataInfo
from asymbp_cli.datasets.resident import ResidentData, load
from asymbp_cli.engine import Trainer, train_stack
from asymbp_cli.events import EpochEnded, RunDiverged
from asymbp_cli.methods import parse_method
from asymbp_cli.model import Model
from asymbp_cli.networks import NETWORKS
from asymbp_cli.protocol import Precision, Protocol
from asymbp_cli.runs import Run, Stack

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="not run: there is no CUDA device"),
]
_TOLERANCE = 0.03  # of the test set: tf32 and other random streams, on digits after 5 epochs


def _runs(info: DataInfo, *methods: str) -> tuple[Run, ...]:
    network = NETWORKS["digits"].resolve(10)
    return tuple(
        Run(
            dataset=info.fingerprint,
            network=network,
            method=parse_method(name),
            protocol=Protocol(epochs=5),
            rate_multiplier=1.0,
            seed=0,
        )
        for name in methods
    )


@pytest.mark.parametrize("methods", [("SGD", "BM", "frSF"), ("uSF+BN", "uSF+BN+BM", "RndF+BN"), ("BN", "BN+BM")])
def test_error_counts_agree(methods: tuple[str, ...], digits_info: DataInfo, digits: ResidentData) -> None:
    stack = Stack(_runs(digits_info, *methods))
    on_gpu = load(digits_info, device="cuda")
    last = {}
    for device, data in (("cpu", digits), ("cuda", on_gpu)):
        for event in train_stack(stack, data, device=device):
            if isinstance(event, EpochEnded):
                last[device, event.run] = event.test_wrong / event.test_seen
    for run in stack.runs:
        assert last["cuda", run.id] == pytest.approx(last["cpu", run.id], abs=_TOLERANCE)


def test_feedback_weights_that_are_not_redrawn_are_equal(digits_info: DataInfo) -> None:
    runs = _runs(digits_info, "uSF", "NuSF", "RndF", "frSF", "frSF-25%")
    model = Model.of(runs[0].network, runs[0].protocol, runs[0].method)
    banks = [Bank(runs, model, torch.device(name)) for name in ("cpu", "cuda")]
    for bank in banks:
        bank.begin_epoch(1, 1.0)
        bank.refresh_feedback()
    for replica in range(len(runs)):
        for name, expected in banks[0].feedback(replica).items():
            torch.testing.assert_close(banks[1].feedback(replica)[name].cpu(), expected)


@pytest.mark.parametrize(
    "methods", [("SGD", "brSF-25%", "frSF", "RndF", "BM3"), ("uSF+BN", "brSF+BN+BM"), ("BN",)]
)
@pytest.mark.parametrize("zero_sign", [0, 1])
def test_no_value_is_read_inside_an_epoch(
    methods: tuple[str, ...], zero_sign: Literal[0, 1], digits_info: DataInfo
) -> None:
    protocol = Protocol(epochs=5, zero_sign=zero_sign)
    runs = tuple(run.model_copy(update={"protocol": protocol}) for run in _runs(digits_info, *methods))
    trainer = Trainer(Stack(runs), load(digits_info, device="cuda"), torch.device("cuda"))
    trainer.begin_epoch(1, range(len(runs)))
    batches = trainer.batches(1)
    for index in batches[:5]:  # plain, then captured
        trainer.step(index)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for index in batches[5:]:
            trainer.step(index)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert bool(trainer.bank.alive.all())


def test_a_replica_that_diverges_does_not_touch_its_neighbour(digits_info: DataInfo) -> None:
    (good,) = _runs(digits_info, "uSF")
    data = load(digits_info, device="cuda")
    good, bad = (good.model_copy(update={"rate_multiplier": value}) for value in (1e-3, 1e6))
    both = list(train_stack(Stack((good, bad)), data, device="cuda"))
    assert [event.run for event in both if isinstance(event, RunDiverged)] == [bad.id]
    alone = list(train_stack(Stack((good,)), data, device="cuda"))
    together, single = (
        [e.test_wrong for e in events if isinstance(e, EpochEnded) and e.run == good.id]
        for events in (both, alone)
    )
    assert together == pytest.approx(single, abs=10)  # of 360


def test_the_same_run_twice_is_nearly_the_same(digits_info: DataInfo) -> None:
    stack, data = Stack(_runs(digits_info, "brSF")), load(digits_info, device="cuda")
    first, second = (
        [replace(e, seconds=0) for e in train_stack(stack, data, device="cuda") if isinstance(e, EpochEnded)]
        for _ in range(2)
    )
    assert [e.test_wrong for e in first] == pytest.approx([e.test_wrong for e in second], abs=10)


def _last(data: ResidentData, runs: tuple[Run, ...]) -> list[tuple[int, int]]:
    events = train_stack(Stack(runs), data, device="cuda")
    return [(e.train_wrong, e.test_wrong) for e in events if isinstance(e, EpochEnded) and e.epoch == 5]


@pytest.mark.parametrize("methods", [("SGD", "BM3", "brSF-25%", "frSF", "RndF"), ("uSF+BN", "brSF+BN+BM")])
@pytest.mark.parametrize("precision", ["standard", "fp32", "bf16"])
def test_captured_steps_train_as_plain_ones(
    methods: tuple[str, ...],
    precision: Precision,
    digits_info: DataInfo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = tuple(
        run.model_copy(update={"protocol": Protocol(epochs=5, precision=precision), "rate_multiplier": 0.1})
        for run in _runs(digits_info, *methods)
    )
    data = load(digits_info, device="cuda")
    captured = _last(data, runs)
    monkeypatch.setattr(engine, "_recorder", lambda device, generators: None)
    for found, expected in zip(captured, _last(data, runs), strict=True):
        assert found == pytest.approx(expected, abs=0.03 * data.info.train_count)
        assert found[1] == pytest.approx(expected[1], abs=10)  # of 360


def test_more_replicas_than_streams(digits_info: DataInfo) -> None:
    (first,) = _runs(digits_info, "uSF")
    runs = tuple(first.model_copy(update={"rate_multiplier": 0.1 / (1 + i)}) for i in range(40))
    data = load(digits_info, device="cuda")
    many = _last(data, runs)
    for replica in (0, 31, 32, 39):
        (alone,) = _last(data, runs[replica : replica + 1])
        assert many[replica][1] == pytest.approx(alone[1], abs=10)


def test_stacks_leave_no_memory_behind(digits_info: DataInfo) -> None:
    data, runs = load(digits_info, device="cuda"), _runs(digits_info, "brSF-25%+BN", "uSF+BN")

    def reserved() -> int:
        _last(data, runs)
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        return torch.cuda.memory_reserved()

    first = reserved()  # with the libraries' workspaces
    assert [reserved() for _ in range(3)] == [first] * 3


def test_testing_reads_nothing_before_its_end(digits_info: DataInfo) -> None:
    trainer = Trainer(Stack(_runs(digits_info, "uSF+BN")), load(digits_info, device="cuda"), torch.device("cuda"))
    for epoch in range(1, 6):  # plain, then captured
        list(trainer.train_epoch(epoch))
    coming = trainer.statistics_batches(5)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer.evaluation.observe(coming)
    finally:
        torch.cuda.set_sync_debug_mode("default")
