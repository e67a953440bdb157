"""The state of a running study: progress, remaining time, best errors so far. Fed by events, knows no terminal."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

from asymbp_cli.cli.pace import Pace
from asymbp_cli.events import EpochEnded, Progress, RunDiverged, RunFinished, WorkerFound
from asymbp_cli.executors import StackFailed, StackStarted, StudyEvent
from asymbp_cli.recipe.grid import Grid, GridRow
from asymbp_cli.recipe.labels import find_headers, name_columns, name_datasets
from asymbp_cli.specs.methods import method_name
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.runs import Run
from asymbp_cli.study import Execution
from asymbp_cli.text import count, format_duration


@dataclass
class StudyProgress:
    """Sums over the events of one command.

    `remaining` maps each run to train to the number of its remaining epochs. `estimate_seconds` is the forecast
    made before the start, which the pace of the training corrects. Without it the pace after the first epoch is
    extrapolated: a GPU spends that on starting, and on compiling kernels.
    """

    grids: Sequence[Grid]
    runs: Mapping[str, Run]
    remaining: Mapping[str, int]
    epoch_cost: Mapping[str, float]  # of each run, predicted: the unit of progress
    estimate_seconds: float | None = None
    clock: Callable[[], float] = time.monotonic
    workers: int = 1
    began: float = 0.0
    waited: float | None = None  # seconds until the first worker was found, perhaps in the queue of a cluster
    work_done: float = 0.0
    samples: int = 0
    ended: int = 0
    diverged: set[str] = field(default_factory=set)
    collapsed: set[str] = field(default_factory=set)  # runs that now answer everything with one class
    best: dict[str, EpochEnded] = field(default_factory=dict)
    epoch: dict[str, int] = field(default_factory=dict)  # latest one of each run
    trained: dict[str, int] = field(default_factory=dict)  # epochs of each run that this command trained
    active: dict[str, set[str]] = field(default_factory=dict)  # stack -> its unfinished runs
    devices: dict[str, str] = field(default_factory=dict)  # active stack -> what its worker trains on
    steps: dict[str, Progress] = field(default_factory=dict)  # position of active stacks in their epoch
    starts: dict[str, int] = field(default_factory=dict)  # active stack -> epochs that its runs had before
    done_before: int = 0  # runs that needed no training
    first_epoch: tuple[float, float] = (0.0, 0.0)  # seconds and work done when it ended
    whole_epoch: tuple[float, float] = (0.0, 0.0)  # the same, of the latest that all runs of a stack have ended

    def __post_init__(self) -> None:
        self.began = self.clock()
        self.work = self._cost_left(self.remaining)
        self.unit = self._measure_unit()  # seconds of a worker for a unit of cost, as predicted
        self.pace = Pace(self.work * self.unit)

    def _measure_unit(self) -> float:
        longest = max((self._cost_left([run]) for run in self.remaining), default=0.0)
        cost = max(self.work / self.workers, longest)
        return self.estimate_seconds / cost if self.estimate_seconds and cost else 1.0

    @cached_property
    def cells(self) -> Mapping[tuple[str, str], Mapping[str, Run]]:
        """Return the runs of each cell, by method and dataset; what several tables share is there once."""
        found: dict[tuple[str, str], dict[str, Run]] = {}
        for grid, columns in zip(self.grids, name_columns(self.grids), strict=True):
            for row, column in product(grid.rows, grid.columns):
                runs = {run.id: run for run in grid.runs(row, column)}
                found.setdefault((columns[column.header], self._label(row)), {}).update(runs)
        return found

    def _label(self, row: GridRow) -> str:
        return self.datasets.get((row.dataset or "", row.network), row.label)

    @cached_property
    def datasets(self) -> Mapping[tuple[str, Network | None], str]:
        """Return a label for each dataset under each network, which tells them apart in all tables."""
        return name_datasets(row for grid in self.grids for row in grid.rows)

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Return the name of each run to train: its method, or its column if others have this method too."""
        names = {run_id: method_name(run.method) for run_id, run in self.runs.items()} | find_headers(self.grids)
        for grid, columns in zip(self.grids, name_columns(self.grids), strict=True):
            for row, column in product(grid.rows, grid.columns):
                if (told := columns[column.header]) != column.header:
                    names |= {run.id: told for run in grid.runs(row, column)}
        return names

    def handle(self, event: StudyEvent) -> None:
        """Count one event."""
        match event:
            case StackStarted():
                self.active[event.stack] = set(event.runs)
                self.starts[event.stack] = event.start_epoch
                self.pace.begin(event.stack, self.clock())
            case StackFailed():
                self._drop_stack(event)
            case WorkerFound():
                self._find_worker(event)
            case Progress():
                self._advance(event)
            case EpochEnded():
                self._count_epoch(event)
            case RunDiverged():
                self.diverged.add(event.run)
            case RunFinished():
                self._finish_run(event.run)

    def _find_worker(self, event: WorkerFound) -> None:
        self.waited = self.seconds if self.waited is None else self.waited
        stack = self._find_stack(event.runs[0])
        if stack is not None:
            self.devices[stack] = event.provenance.device
            self.pace.begin(stack, self.clock())

    def _find_stack(self, run_id: str) -> str | None:
        return next((stack for stack, runs in self.active.items() if run_id in runs), None)

    def _drop_stack(self, event: StackFailed) -> None:
        self._forget_stack(event.stack)
        if event.retrying:
            return
        for run in event.runs:
            self.work -= self.epoch_cost[run] * (self.remaining[run] - self.trained.get(run, 0))

    def _forget_stack(self, stack: str) -> None:
        for known in (self.active, self.starts, self.devices, self.steps):
            known.pop(stack, None)
        self.pace.end(stack)

    def _advance(self, position: Progress) -> None:
        self.steps[position.stack] = position
        if not position.epoch:  # which nothing was predicted for
            self.pace.begin(position.stack, self.clock())
            return
        new = (run for run in self.active.get(position.stack, ()) if position.epoch > self.epoch.get(run, 0))
        seconds = self.unit * sum(self.epoch_cost[run] for run in new)
        self.pace.advance(position.stack, self.clock(), seconds * position.step / position.steps)

    def _count_epoch(self, event: EpochEnded) -> None:
        self.samples += event.train_seen
        stack = self._find_stack(event.run) or ""
        self.pace.end_epoch(stack, self.clock(), self.unit * self.epoch_cost[event.run])
        if event.epoch > self.epoch.get(event.run, 0):  # not one that a second attempt repeats
            self.work_done += self.epoch_cost[event.run]
            self.trained[event.run] = self.trained.get(event.run, 0) + 1
            self.epoch[event.run] = event.epoch
        if all(self.epoch.get(run, 0) >= event.epoch for run in self.active.get(stack, {event.run})):
            self.whole_epoch = (self.training_seconds, self.work_done)
            if max(self.trained.values()) == 1:
                self.first_epoch = self.whole_epoch
        (self.collapsed.add if event.one_class else self.collapsed.discard)(event.run)
        self.keep_best(event)

    def _finish_run(self, run_id: str) -> None:
        self.ended += 1
        stack = self._find_stack(run_id)
        if stack is not None:
            self.active[stack].discard(run_id)
            if not self.active[stack]:
                self._forget_stack(stack)

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
        return min((self.work_done + self.pace.inside / self.unit) / self.work, 1.0) if self.work else 1.0

    @property
    def eta_seconds(self) -> float | None:
        """Return the remaining seconds, if known: what is predicted for the rest, at the pace so far."""
        if self.estimate_seconds is None:
            return self._eta_by_pace()
        longest = max((self._cost_left(runs) for runs in self.active.values()), default=0.0)
        cost = max((self.work - self.work_done) / self.workers, longest)
        return max(self.unit * cost - self.pace.inside / self.workers, 0.0) * self.pace.slowness

    def _cost_left(self, runs: Iterable[str]) -> float:
        """Return the cost of the epochs that these runs have left."""
        return sum(self.epoch_cost[run] * (self.remaining[run] - self.trained.get(run, 0)) for run in runs)

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
        """Return `12 min left`."""
        if self.ended >= len(self.remaining):
            return "all done"
        if math.isclose(self.work_done, self.work):
            return "nearly done"
        seconds = self.eta_seconds
        return "time left not known yet" if seconds is None else f"{format_duration(max(seconds, 1.0))} left"

    @property
    def waiting(self) -> str | None:
        """Return the reason why nothing trains yet: `starting 2 workers`."""
        if self.devices or self.trained or self.ended:
            return None
        return f"starting {count(len(self.active) or min(self.workers, len(self.remaining)), 'worker')}"

    @property
    def samples_per_second(self) -> float:
        """Return training samples per second, all replicas together."""
        return self.samples / self.training_seconds if self.training_seconds > 0 else 0.0

    def describe_stacks(self) -> list[str]:
        """Return a line per stack in training: `uSF, SGD (5 runs): epoch 3 of 20, batch 120 of 600`."""
        lines = []
        for stack, runs in self.active.items():
            names = dict.fromkeys(self.names[run] for run in sorted(runs))
            lines.append(f"{', '.join(names)} ({count(len(runs), 'run')}): {self._describe_position(stack)}")
        return lines

    def _describe_position(self, stack: str) -> str:
        """Return the epoch that a stack is in, or what it waits for before its first one."""
        runs, position = self.active[stack], self.steps.get(stack)
        epochs = max(self.runs[run].protocol.epochs for run in runs)
        ended = min(self.epoch.get(run, self.starts[stack]) for run in runs)
        if position is not None and position.epoch > ended:
            return f"epoch {position.epoch} of {epochs}, batch {position.step:,} of {position.steps:,}"
        if ended == self.starts[stack]:
            if position is not None and not position.epoch:
                return f"mirroring before epoch 1, batch {position.step:,} of {position.steps:,}"
            if stack not in self.devices:
                return "starting a worker"
            if self.devices[stack].startswith("cuda"):
                return "compiling"
        return f"epoch {min(ended + 1, epochs)} of {epochs}"

    def describe_run(self, run_id: str) -> str:
        """Return `uSF+BN x0.1 on MNIST`, with seed or batch size if runs differ in them."""
        run = self.runs[run_id]
        label = self.datasets.get((run.dataset, run.network), "")
        text = f"{self.names[run_id]} x{run.rate_multiplier:g} on {label}"
        if len({other.seed for other in self.runs.values()}) > 1:
            text += f", seed {run.seed}"
        if not isinstance(run.protocol.batch_size, int):
            sizes = (f"{entry.size} from epoch {entry.from_epoch}" for entry in run.protocol.batch_size)
            text += f", batch {', '.join(sizes)}"
        return text


def describe_seconds(seconds: float | None) -> str:
    """Return what a forecast says of a study's time; None if its steps are not timed."""
    return (
        "the first epochs will show how long" if seconds is None else f"about {format_duration(max(seconds, 1.0))}"
    )


def describe_execution(execution: Execution) -> str:
    """Return where a study is trained: `on cpu with 2 workers`."""
    names = ", ".join(dict.fromkeys(execution.devices))
    cluster = f" of {execution.executor.executor}" if execution.executor and execution.is_remote else ""
    return f"on {names} with {count(len(execution.devices), 'worker')}{cluster}"
