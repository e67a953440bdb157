"""How long a study still takes: the forecast, corrected by what is measured, without jumps and never nothing."""

import itertools

import pytest
import small_study

from asymbp_cli.cli.progress import StudyProgress
from asymbp_cli.events import EpochEnded, Progress, Provenance, RunFinished, WorkerFound
from asymbp_cli.executors import StackStarted

EPOCHS = 20


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def ended(run: str, epoch: int) -> EpochEnded:
    counts = {"train_wrong": 0, "train_seen": 100, "test_wrong": 5, "test_seen": 50}
    flags = {"validation_wrong": None, "validation_seen": None, "one_class": False, "diverged": False}
    return EpochEnded(run, epoch, 1.0, 0.1, test_loss=0.1, seconds=1.0, **counts, **flags)  # type: ignore[arg-type]


def study(clock: Clock, forecast: float, workers: int, runs: int) -> StudyProgress:
    planned = small_study.grid("SGD", epochs=EPOCHS, multipliers=tuple(range(1, runs + 1))).all_runs()
    return StudyProgress(
        grids=(),
        runs=planned,
        remaining=dict.fromkeys(planned, EPOCHS),
        epoch_cost=dict.fromkeys(planned, forecast * workers / runs / EPOCHS),
        estimate_seconds=forecast,
        workers=workers,
        clock=clock,
    )


def train(progress: StudyProgress, clock: Clock, seconds: float, start: float, *, steps: int = 4) -> list[float]:
    """Train each run as a stack of its own in so many seconds an epoch; return the seconds left each time."""
    here = Provenance("host", "cpu (a)", {}, None, 1)
    lefts, waiting = [], list(progress.runs)
    for first in range(0, len(waiting), progress.workers):
        group = waiting[first : first + progress.workers]
        for run in group:
            progress.handle(StackStarted(run, (run,), 0))
        for _ in range(10):
            clock.now += start / 10
            lefts.append(progress.eta_seconds)
        for run in group:
            progress.handle(WorkerFound((run,), here))
        for epoch in range(1, EPOCHS + 1):
            for step in range(1, steps + 1):
                clock.now += seconds / steps
                for run in group:
                    progress.handle(Progress(run, epoch, step, steps) if step < steps else ended(run, epoch))
                lefts.append(progress.eta_seconds)
        for run in group:
            progress.handle(RunFinished(run, "finished", EPOCHS))
        start = 0.0
    return [left for left in lefts if left is not None]


@pytest.mark.parametrize("slowness", [0.5, 1.0, 5.0])
def test_a_wrong_forecast_is_corrected_without_a_jump(slowness: float) -> None:
    clock, workers, runs = Clock(), 2, 8
    progress = study(clock, 72.0, workers, runs)
    lefts = train(progress, clock, slowness * progress.epoch_cost[next(iter(progress.runs))], 5.0)
    assert lefts[0] == pytest.approx(72)
    for before, after in itertools.pairwise(lefts[:-1]):
        assert after < 1.35 * before
    tenth = len(lefts) // 10
    truth = slowness * 72 * 0.9
    assert lefts[10 + tenth] == pytest.approx(truth, rel=0.3)
    assert lefts[len(lefts) // 2] == pytest.approx(slowness * 36, rel=0.15)


def test_there_is_always_time_left_while_something_trains() -> None:
    clock = Clock()
    progress = study(clock, 2.0, 1, 2)
    for left in train(progress, clock, 1.0, 5.0)[:-1]:
        assert left > 0
    assert progress.remaining_time == "all done"


def test_waiting_for_workers_is_no_pace() -> None:
    clock = Clock()
    progress = study(clock, 72.0, 2, 4)
    for run in list(progress.runs)[:2]:
        progress.handle(StackStarted(run, (run,), 0))
    clock.now = 500.0  # in the queue of a cluster
    assert progress.eta_seconds == pytest.approx(72)
    assert progress.waiting == "starting 2 workers"
    for run in list(progress.runs)[:2]:
        progress.handle(WorkerFound((run,), Provenance("host", "cpu (a)", {}, None, 1)))
    assert progress.waiting is None
    clock.now += progress.epoch_cost[next(iter(progress.runs))]
    for run in list(progress.runs)[:2]:
        progress.handle(ended(run, 1))
    assert progress.eta_seconds == pytest.approx(72 * (1 - 2 / 80), rel=0.01)


def test_the_longest_stack_is_waited_for() -> None:
    clock = Clock()
    progress = study(clock, 40.0, 4, 4)
    assert progress.eta_seconds == pytest.approx(40)
    progress.handle(StackStarted("s", tuple(progress.runs)[:3], 0))
    assert progress.eta_seconds == pytest.approx(120)
