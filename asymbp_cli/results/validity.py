"""What cannot be in results that asymbp has written, however well-formed it is: checked before they are merged."""

import math
from collections.abc import Iterable, Mapping
from typing import get_args

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.events import EpochEnded, RunState
from asymbp_cli.recipe.grid import Grid, table_ids
from asymbp_cli.results.contents import StoredGrid, StoredRun
from asymbp_cli.specs.base import is_label
from asymbp_cli.specs.runs import Run
from asymbp_cli.text import printable

#: of an epoch
LOSSES = ("train_loss", "test_loss", "validation_loss")
_LATEST = 253_402_300_799.0  # the end of the year 9999, seconds since 1970
_STATES = (None, *get_args(RunState))
_MOST_RUNS = 1_000_000  # of a table; all columns of Table 4 on 15 datasets with 1000 seeds have fewer


class Damage(Exception):
    """Why something cannot be what asymbp has written."""


def check_dataset(fingerprint: str, info: DecodedDataset) -> None:
    """Raise Damage if a dataset cannot be."""
    _require(info.fingerprint == fingerprint, f"the dataset {fingerprint} has another fingerprint inside")
    _check_names(f"the dataset {fingerprint}", (info.label, *info.classes), info.note)


def _require(fact: bool, otherwise: str) -> None:
    if not fact:
        raise Damage(otherwise)


def _check_names(owner: str, names: Iterable[str], *notes: str) -> None:
    """Raise Damage if a table cannot print `names`, or `notes`, which may be empty."""
    _require(
        all(map(is_label, names)) and all(map(printable, notes)), f"{owner} has a name that cannot be printed"
    )


def _check_times(owner: str, times: Iterable[float | None]) -> None:
    possible = all(time is None or 0 <= time <= _LATEST for time in times)
    _require(possible, f"{owner} has a date that cannot be")


def check_grid(key: str, stored: StoredGrid) -> None:
    """Raise Damage if a table cannot be."""
    grid, table = stored.grid, f"the table {key}"
    _require(key in table_ids(grid), f"{table} has the content of another table")
    columns = (*grid.columns, grid.baseline) if grid.baseline else grid.columns
    names = (
        grid.key,
        grid.title,
        grid.protocol_label,
        *(c.header for c in columns),
        *(r.label for r in grid.rows),
    )
    _check_names(table, names, *(column.note for column in columns), *(row.note for row in grid.rows))
    _require(
        all(isinstance(command, str) for command in stored.commands), f"{table} has a command that is no text"
    )
    seeds = grid.seeds
    _require(len(set(seeds)) == len(seeds) and min(seeds) >= 0, f"{table} has seeds that no recipe can have")
    _require(_count_runs(grid) <= _MOST_RUNS, f"{table} has more than {_MOST_RUNS:,} runs")
    _check_times(table, (stored.created, stored.updated))


def _count_runs(grid: Grid) -> int:
    rates = (len(entry.protocol.rate_multipliers) for column in grid.columns for entry in column.entries)
    return len(grid.rows) * len(grid.seeds) * sum(rates)


def check_run(run_id: str, stored: StoredRun, datasets: Mapping[str, DecodedDataset]) -> None:
    """Raise Damage if a run, one of its epochs or one of its attempts cannot be."""
    check_frame(run_id, stored, datasets)
    run, name, count = stored.run, f"the run {run_id}", len(stored.epochs)
    _require(
        [event.epoch for event in stored.epochs] == list(range(1, count + 1)) and count <= run.protocol.epochs,
        f"{name} has other epochs than 1, 2, ... up to {run.protocol.epochs} at most",
    )
    _require(not stored.state or count == run.protocol.epochs, f"{name} has ended before its last epoch")
    for event in stored.epochs:
        _check_epoch(name, event, run, datasets[run.dataset])


def check_frame(run_id: str, stored: StoredRun, datasets: Mapping[str, DecodedDataset]) -> None:
    """Raise Damage if what is stored of a run, but for its epochs, cannot be."""
    name = f"the run {run_id}"
    _require(stored.run.id == run_id, f"{name} has the content of another run")
    _require(stored.run.dataset in datasets, f"{name} is on a dataset that is missing")
    _require(stored.state in _STATES, f"{name} has an end that does not exist")
    attempts = (time for attempt in stored.attempts for time in (attempt.started, attempt.ended))
    _check_times(name, (stored.created, stored.updated, *attempts))


def _check_epoch(name: str, event: EpochEnded, run: Run, info: DecodedDataset) -> None:
    epoch = f"epoch {event.epoch} of {name}"
    possible = math.isfinite(event.rate) and event.rate > 0 and math.isfinite(event.seconds) and event.seconds >= 0
    _require(possible, f"{epoch} has a rate or a duration that cannot be")
    losses = [getattr(event, name) for name in LOSSES]
    _require(
        all(loss is None or isinstance(loss, int | float) for loss in losses),
        f"{epoch} has a loss that is no number",
    )
    trained = run.protocol.trained_samples(event.epoch, info.train_count - (event.validation_seen or 0))
    _require(
        event.test_seen == info.test_count and event.train_seen in (trained, 0),
        f"{epoch} has seen other samples than {info.label} has",
    )
