"""What the displays say while a study runs: progress, ETA, best errors."""

from dataclasses import replace

import pytest

from asymbp_cli.cli.progress import StudyProgress, describe_seconds
from asymbp_cli.events import EpochEnded, Progress, Provenance, RunDiverged, RunFinished, WorkerFound
from asymbp_cli.executors import StackFailed, StackStarted
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run
from asymbp_cli.text import format_duration


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _run(method: str) -> Run:
    network = NETWORKS["digits"].resolve(10)
    return Run(
        dataset="d",
        network=network,
        method=parse_method(method),
        protocol=Protocol(epochs=4),
        rate_multiplier=0.1,
        seed=0,
    )


def _ended(run: Run, epoch: int, wrong: int) -> EpochEnded:
    counts = {"train_wrong": 0, "train_seen": 100, "test_wrong": wrong, "test_seen": 50}
    flags = {"validation_wrong": None, "validation_seen": None, "one_class": False, "diverged": False}
    return EpochEnded(run.id, epoch, 1.0, 0.1, test_loss=0.1, seconds=1.0, **counts, **flags)  # type: ignore[arg-type]


def test_waiting_in_a_queue_is_not_training() -> None:
    run, clock = _run("SGD"), Clock()
    here = WorkerFound((run.id,), Provenance("node7", "cpu", {}, None, 1))
    progress = _one_run(run, 8.0, clock)
    progress.handle(StackStarted("s", (run.id,), 0))
    clock.now = 3600.0
    progress.handle(here)
    assert progress.eta_seconds == 8
    clock.now = 3602.0
    progress.handle(_ended(run, 1, 10))
    assert progress.eta_seconds == pytest.approx(6)
    assert progress.samples_per_second == pytest.approx(50)
    progress.handle(here)  # of another worker
    assert progress.eta_seconds == pytest.approx(6)


def _one_run(run: Run, seconds: float, clock: Clock) -> StudyProgress:
    """Return the progress of a study of one run, before it starts."""
    return StudyProgress((), {run.id: run}, {run.id: 4}, {run.id: 1.0}, estimate_seconds=seconds, clock=clock)


def test_progress_counts_predicted_seconds() -> None:
    cheap, dear = _run("SGD"), _run("uSF+BN")
    clock = Clock()
    progress = StudyProgress(
        grids=(),
        runs={run.id: run for run in (cheap, dear)},
        remaining={cheap.id: 4, dear.id: 2},  # the other two epochs are in a checkpoint
        epoch_cost={cheap.id: 1.0, dear.id: 3.0},
        estimate_seconds=5.0,
        clock=clock,
    )
    assert (progress.share, progress.eta_seconds) == (0, 5)
    clock.now = 1.0
    progress.handle(StackStarted("s", (cheap.id, dear.id), 0))
    progress.handle(Progress("s", 1, 3, 15))
    (line,) = progress.describe_stacks()
    names, _, rest = line.partition(" (")
    assert set(names.split(", ")) == {"SGD", "uSF+BN"}
    assert rest == "2 runs): epoch 1 of 4, batch 3 of 15"
    clock.now = 6.0
    progress.handle(_ended(dear, 3, 10))
    assert progress.share == pytest.approx(0.3, abs=0.09)
    assert progress.eta_seconds == pytest.approx(14, rel=0.3)
    progress.handle(_ended(dear, 4, 20))
    assert progress.best[dear.id].test_wrong == 10
    progress.handle(RunDiverged(cheap.id, 1))
    progress.handle(RunFinished(dear.id, "finished", 4))
    assert (progress.ended, progress.diverged) == (1, {cheap.id})
    assert progress.describe_stacks() == ["SGD (1 run): epoch 1 of 4, batch 3 of 15"]
    progress.handle(RunFinished(cheap.id, "diverged", 4))
    assert progress.describe_stacks() == []
    assert progress.samples_per_second == pytest.approx(200 / 6)


def test_mirroring_before_the_first_epoch_is_shown_and_is_no_pace() -> None:
    run, clock = _run("WM"), Clock()
    progress = _one_run(run, 40.0, clock)
    progress.handle(StackStarted("s", (run.id,), 0))
    for step in (500, 1000):
        clock.now += 100.0
        progress.handle(Progress("s", 0, step, 1200))
    assert progress.describe_stacks() == ["WM (1 run): mirroring before epoch 1, batch 1,000 of 1,200"]
    assert (progress.share, progress.eta_seconds) == (0, 40)
    clock.now += 5.0
    progress.handle(Progress("s", 1, 300, 600))
    assert progress.describe_stacks() == ["WM (1 run): epoch 1 of 4, batch 300 of 600"]
    assert progress.share == 0.125
    assert progress.eta_seconds == pytest.approx(35)


def test_a_second_attempt_counts_its_work_once_and_a_failed_run_leaves_it() -> None:
    good, bad = _run("SGD"), _run("uSF+BN")
    progress = StudyProgress(
        grids=(),
        runs={run.id: run for run in (good, bad)},
        remaining={good.id: 4, bad.id: 4},
        epoch_cost={good.id: 1.0, bad.id: 3.0},
    )
    progress.handle(StackStarted("s", (good.id, bad.id), 0))
    for epoch in (1, 2):
        progress.handle(_ended(good, epoch, 10))
    assert progress.share == pytest.approx(2 / 16)
    progress.handle(StackFailed("s", (good.id, bad.id), "killed", None, remedy="once more"))
    for epoch in (1, 2, 3):
        progress.handle(_ended(good, epoch, 10))
    progress.handle(_ended(bad, 1, 10))
    assert progress.share == pytest.approx(6 / 16)
    progress.handle(StackFailed("s", (bad.id,), "killed", None, remedy=None))
    assert progress.share == pytest.approx(6 / 7)
    progress.handle(_ended(good, 4, 10))
    assert progress.share == 1


def test_the_best_epoch_is_the_one_that_the_rule_selects() -> None:
    run = _run("SGD")
    progress = StudyProgress(grids=(), runs={run.id: run}, remaining={run.id: 4}, epoch_cost={run.id: 1.0})
    for epoch, (wrong, held_out) in enumerate([(5, 9), (7, 3), (6, 3)], 1):
        progress.handle(replace(_ended(run, epoch, wrong), validation_wrong=held_out, validation_seen=20))
    assert progress.best[run.id].epoch == 2


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (12_060, "3 h 21 min")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_no_forecast_is_nothing() -> None:
    assert [describe_seconds(seconds) for seconds in (None, 0.2, 36.0)] == [
        "the first epochs will show how long",
        "about 1 s",
        "about 36 s",
    ]
