"""The state of a running study: progress, remaining time, best errors so far. Fed by events, knows no terminal."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from asymbp_cli.events import EpochEnded, Progress, RunDiverged, RunFinished, WorkerFound
from asymbp_cli.executors import StackFailed, StackStarted, StudyEvent
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.labels import tell_rows_apart
from asymbp_cli.specs.methods import method_name
from asymbp_cli.specs.runs import Run
from asymbp_cli.study import Execution


@dataclass
class StudyProgress:
    """Sums over the events of one command.

    `remaining` maps each run to train to the number of its remaining epochs. `estimate_seconds` is the forecast
    made before the start. It is used until enough work is done to extrapolate. Without it the pace after the first
    epoch is extrapolated: a GPU spends that on starting, and on compiling kernels.
    """

    grids: Sequence[Grid]
    runs: Mapping[str, Run]
    remaining: Mapping[str, int]
    epoch_cost: Mapping[str, float]  # of each run, predicted: the unit of progress
    estimate_seconds: float | None = None
    clock: Callable[[], float] = time.monotonic
    began: float = 0.0
    waited: float | None = None  # seconds until the first worker was found, perhaps in the queue of a cluster
    work_done: float = 0.0
    samples: int = 0
    ended: int = 0
    diverged: set[str] = field(default_factory=set)
    best: dict[str, EpochEnded] = field(default_factory=dict)
    epoch: dict[str, int] = field(default_factory=dict)  # latest one of each run
    trained: dict[str, int] = field(default_factory=dict)  # epochs of each run that this command trained
    active: dict[str, set[str]] = field(default_factory=dict)  # stack -> its unfinished runs
    steps: dict[str, Progress] = field(default_factory=dict)  # position of active stacks in their epoch
    latest: tuple[str, int] | None = None  # run and epoch of the last event
    done_before: int = 0  # runs that needed no training
    first_epoch: tuple[float, float] = (0.0, 0.0)  # seconds and work done when it ended
    whole_epoch: tuple[float, float] = (
        0.0,
        0.0,
    )  # the same, of the latest one that all runs of a stack have ended

    def __post_init__(self) -> None:
        self.began = self.clock()
        self.grids = [tell_rows_apart(grid) for grid in self.grids]
        self.work = sum(self.epoch_cost[run] * epochs for run, epochs in self.remaining.items())

    def handle(self, event: StudyEvent) -> None:
        """Count one event."""
        match event:
            case StackStarted():
                self.active[event.stack] = set(event.runs)
            case StackFailed():
                self._drop_stack(event)
            case WorkerFound():
                self.waited = self.seconds if self.waited is None else self.waited
            case Progress():
                self.steps[event.stack] = event
            case EpochEnded():
                self._count_epoch(event)
            case RunDiverged():
                self.diverged.add(event.run)
            case RunFinished():
                self._finish_run(event.run)

    def _drop_stack(self, event: StackFailed) -> None:
        self.active.pop(event.stack, None)
        if event.retrying:
            return
        for run in event.runs:
            self.work -= self.epoch_cost[run] * (self.remaining[run] - self.trained.get(run, 0))

    def _count_epoch(self, event: EpochEnded) -> None:
        self.samples += event.train_seen
        if event.epoch > self.epoch.get(event.run, 0):  # not one that a second attempt repeats
            self.work_done += self.epoch_cost[event.run]
            self.trained[event.run] = self.trained.get(event.run, 0) + 1
            self.epoch[event.run] = event.epoch
        stack = next((runs for runs in self.active.values() if event.run in runs), {event.run})
        if all(self.epoch.get(run, 0) >= event.epoch for run in stack):
            self.whole_epoch = (self.training_seconds, self.work_done)
            if max(self.trained.values()) == 1:
                self.first_epoch = self.whole_epoch
        self.latest = (event.run, event.epoch)
        self.keep_best(event)

    def _finish_run(self, run_id: str) -> None:
        self.ended += 1
        for runs in self.active.values():
            runs.discard(run_id)
        self.active = {stack: runs for stack, runs in self.active.items() if runs}

    def keep_best(self, point: EpochEnded) -> None:
        """Keep the epoch of each run that the rule selects; stored epochs of earlier commands count as well."""
        best = self.best.get(point.run)
        if best is None or point.criterion < best.criterion:
            self.best[point.run] = point

    @property
    def seconds(self) -> float:
        """Return the seconds since the start."""
        return self.clock() - self.began

    @property
    def training_seconds(self) -> float:
        """Return the seconds since the first worker was found; if none says so, since the start."""
        return self.seconds - (self.waited or 0.0)

    @property
    def share(self) -> float:
        """Return the share of the work that is done, 0 to 1."""
        return min(self.work_done / self.work, 1.0) if self.work else 1.0

    @property
    def eta_seconds(self) -> float | None:
        """Return the remaining seconds, if known: the forecast, or extrapolated once a twentieth is done."""
        if self.estimate_seconds is not None and self.share < 0.05:
            return max(self.estimate_seconds - self.training_seconds, 0.0)
        if self.estimate_seconds is None:
            return self._eta_by_pace()
        return self.training_seconds * (1 - self.share) / self.share

    def _eta_by_pace(self) -> float | None:
        """Return the remaining seconds by the whole epochs after the first, or by all if runs have only one."""
        (began, before), (ended, done) = self.first_epoch, self.whole_epoch
        if done <= before:
            began, before = 0.0, 0.0
            if not done or max(self.remaining.values(), default=0) > 1:
                return None
        return max((ended - began) * (self.work - done) / (done - before) - (self.training_seconds - ended), 0.0)

    @property
    def remaining_time(self) -> str:
        """Return `12 min to go`."""
        seconds = self.eta_seconds
        return "time to go not known yet" if seconds is None else f"{format_duration(seconds)} to go"

    @property
    def samples_per_second(self) -> float:
        """Return training samples per second, all replicas together."""
        return self.samples / self.training_seconds if self.training_seconds > 0 else 0.0

    def describe_stacks(self) -> list[str]:
        """Return a line per stack in training: `uSF, SGD (5 runs): epoch 3, batch 120/600`."""
        lines = []
        for stack, runs in self.active.items():
            names = dict.fromkeys(method_name(self.runs[run].method) for run in sorted(runs))
            line = f"{', '.join(names)} ({len(runs)} runs)"
            if (position := self.steps.get(stack)) is not None:
                line += f": epoch {position.epoch}, batch {position.step}/{position.steps}"
            lines.append(line)
        return lines

    def describe_run(self, run_id: str) -> str:
        """Return `uSF+BN x0.1 on MNIST`, with seed or batch size if runs differ in them."""
        run = self.runs[run_id]
        rows = (row for grid in self.grids for row in grid.rows)
        labels = (row.label for row in rows if (row.dataset, row.network) == (run.dataset, run.network))
        text = f"{method_name(run.method)} x{run.rate_multiplier:g} on {next(labels, '')}"
        if len({other.seed for other in self.runs.values()}) > 1:
            text += f", seed {run.seed}"
        if not isinstance(run.protocol.batch_size, int):
            sizes = (f"{entry.size} from epoch {entry.from_epoch}" for entry in run.protocol.batch_size)
            text += f", batch {', '.join(sizes)}"
        return text


def format_duration(seconds: float) -> str:
    """Return a duration in words: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def describe_seconds(seconds: float | None) -> str:
    """Return what a forecast says of a study's time; None if its steps are not timed."""
    return "the first epochs will show how long" if seconds is None else f"about {format_duration(seconds)}"


def describe_execution(execution: Execution) -> str:
    """Return where a study is trained: `on cpu with 2 workers`."""
    count = len(execution.devices)
    names = ", ".join(dict.fromkeys(execution.devices))
    cluster = f" of {execution.executor.executor}" if execution.executor and execution.is_remote else ""
    return f"on {names} with {'1 worker' if count == 1 else f'{count} workers'}{cluster}"
