"""What it costs to notice damage: checksums of the cache, of checkpoints and of the database, next to an epoch."""

import random
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save

from asymbp_cli.bench.report import make_up_epochs
from asymbp_cli.datasets.cache import read_verified
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.events import EpochEnded
from asymbp_cli.files.paths import FILE_NAME
from asymbp_cli.recipe.build import make_table_grid
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.table import load_table
from asymbp_cli.results.guard import Guard
from asymbp_cli.results.provenance import collect
from asymbp_cli.results.store import Store
from asymbp_cli.scheduling.estimate import epoch_seconds
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run
from asymbp_cli.training import resume
from asymbp_cli.training.checkpoint import Checkpoint, write
from asymbp_cli.training.model import Model
from asymbp_cli.training.timing import measure_steps

_ROUNDS = 7


@dataclass(frozen=True)
class Check:
    """The seconds of a check, and when a run has it: at a "start" of the command, or in an "epoch" at most."""

    what: str
    per: str
    seconds: float


@dataclass(frozen=True)
class ChecksMeasure:
    """The mean seconds of an epoch of a run of Table 2, and the checks."""

    epoch_seconds: float
    checks: tuple[Check, ...]

    @property
    def share(self) -> float:
        """All checks over an epoch of a run: the dearest case, with a start and a checkpoint in each epoch."""
        return sum(check.seconds for check in self.checks) / self.epoch_seconds


def measure_checks(info: DecodedDataset, directory: Path) -> ChecksMeasure:
    """Measure on a decoded dataset, on one thread of the CPU; `directory` takes made-up results of Table 2."""
    (table,) = load_table("2")
    grid = make_table_grid(table, Protocol(), "paper", [info])
    runs = list(grid.all_runs().values())
    steps = measure_steps(runs, {info.fingerprint: info}, "cpu")
    seconds = statistics.mean(epoch_seconds(run, info, steps) for run in runs)
    checks = (
        Check("the arrays of the dataset are verified", "start", _time(lambda: read_verified(info.path))),
        *_checks_of_checkpoints(runs[0], directory),
        *_checks_of_results(grid, info, directory),
    )
    return ChecksMeasure(seconds, checks)


def _time(act: Callable[[], object]) -> float:
    """Return the median seconds of several calls."""
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _checks_of_checkpoints(run: Run, directory: Path) -> Iterable[Check]:
    """Yield what checksums add to writing and to reading a checkpoint of a run."""
    size = Model.of(run.network, run.protocol, run.method).row_size
    saved = Checkpoint(1, torch.randn(size), torch.randn(size), diverged=False)
    write(directory, run.id, saved)
    tensors, facts = (
        {"weights": saved.weights, "state": saved.state},
        {"run": run.id, "epoch": "1", "diverged": "0"},
    )
    sealed = _time(lambda: resume.seal(lambda metadata: save(tensors, metadata), facts))
    plain = _time(lambda: save(tensors, facts))
    yield Check("a checkpoint gets its checksum", "epoch", max(sealed - plain, 0.0))
    yield Check("a checkpoint is verified", "start", _time(lambda: resume.saved_epoch(directory, run.id)))


def _checks_of_results(grid: Grid, info: DecodedDataset, directory: Path) -> Iterable[Check]:
    """Yield the checks of a database with all epochs of the table, per run; storing and reading included."""
    runs = grid.all_runs()
    events = [event for run in runs.values() for event in _make_up(run, info)]
    with Store.open(directory) as store:
        with store.writing():
            store.save_dataset(info)
            store.save_grid(grid)
            store.begin(runs.values(), 0, collect("cpu"))
            storing = _record(store, events)
        reading = _time(lambda: store.epochs(runs))
    guard = Guard(directory / FILE_NAME)
    yield Check("the epoch of a run is stored", "epoch", storing / len(events))
    yield Check("the database is compared with what was written", "epoch", _time(guard.start))
    yield Check("the epochs of a run are read and checked", "start", reading / len(runs))


def _make_up(run: Run, info: DecodedDataset) -> Iterable[EpochEnded]:
    """Yield epochs of a run with counts that it could have."""
    for event in make_up_epochs(run.id, run.protocol.epochs, random.Random(0)):
        wrong = event.test_wrong % info.test_count
        yield replace(event, train_seen=info.train_count, test_seen=info.test_count, test_wrong=wrong)


def _record(store: Store, events: Sequence[EpochEnded]) -> float:
    """Return the seconds of storing events."""
    began = time.perf_counter()
    for event in events:
        store.record(event)
    store.flush()
    return time.perf_counter() - began
