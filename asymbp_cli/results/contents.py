"""All that a store holds, read at one moment, as it travels to a file and to another store."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.grid import Grid, grid_id
from asymbp_cli.results.database import parse_column
from asymbp_cli.results.summaries import (
    ATTEMPT_COLUMNS,
    EPOCH_COLUMNS,
    Attempt,
    make_attempt,
    make_epoch,
    make_epoch_row,
)
from asymbp_cli.specs.runs import Run

Rows = dict[str, list[dict[str, Any]]]  # of each table: column -> value
#: of the table of runs, but for the dataset, which is in the spec
RUN_COLUMNS = ("id", "spec", "state", "created", "updated")
#: of the tables that have rows of runs; the first two put them in order
COLUMNS = {
    "runs": (*RUN_COLUMNS, "dataset"),
    "attempts": ("run", *ATTEMPT_COLUMNS),
    "epochs": EPOCH_COLUMNS,
}


@dataclass(frozen=True)
class StoredGrid:
    """A grid, the commands that asked for it, oldest first, and when (seconds since 1970)."""

    grid: Grid
    commands: tuple[str, ...]
    created: float
    updated: float


@dataclass(frozen=True)
class StoredRun:
    """A run with its attempts and epochs, in order."""

    run: Run
    state: str | None  # "finished", "collapsed", "diverged"; None: not done
    created: float  # seconds since 1970
    updated: float
    attempts: tuple[Attempt, ...]
    epochs: tuple[EpochEnded, ...]


@dataclass(frozen=True)
class Contents:
    """Datasets by fingerprint, without the directories of their images, which stay here; grids and runs by id."""

    datasets: Mapping[str, DecodedDataset]
    grids: Mapping[str, StoredGrid]
    runs: Mapping[str, StoredRun]

    def restrict_to(self, grids: Iterable[Grid]) -> "Contents":
        """Return the contents that belong to `grids`, which may have fewer rows than the stored ones."""
        kept = {_identity(grid): grid for grid in grids}
        wanted = {run_id for grid in kept.values() for run_id in grid.all_runs()}
        runs = {run_id: stored for run_id, stored in self.runs.items() if run_id in wanted}
        used = {stored.run.dataset for stored in runs.values()}
        used |= {row.dataset for grid in kept.values() for row in grid.rows if row.dataset}
        return Contents(
            datasets={key: info for key, info in self.datasets.items() if key in used},
            grids={
                key: replace(stored, grid=kept[_identity(stored.grid)])
                for key, stored in self.grids.items()
                if _identity(stored.grid) in kept
            },
            runs=runs,
        )


def _identity(grid: Grid) -> tuple[str, str]:
    return grid_id(grid), grid.title


def read_contents(connection: sqlite3.Connection) -> Contents:
    """Return the contents of a database of the present version, in an order that depends on them alone.

    Raises sqlite3.Error and RowError, for `store_errors`.
    """
    attempts, epochs = read_attempts(connection), _read_epochs(connection)
    runs = connection.execute(f"SELECT {', '.join(RUN_COLUMNS)} FROM runs ORDER BY id")
    return Contents(
        datasets=read_datasets(connection),
        grids=read_grids(connection),
        runs={row[0]: make_run(row, attempts[row[0]], epochs[row[0]]) for row in runs},
    )


def read_datasets(connection: sqlite3.Connection) -> dict[str, DecodedDataset]:
    """Return the datasets by fingerprint. Raises as `read_contents`."""
    rows = connection.execute("SELECT fingerprint, info FROM datasets ORDER BY fingerprint")
    return {key: _parse_dataset(key, info) for key, info in rows}


def _parse_dataset(fingerprint: str, text: str) -> DecodedDataset:
    info = parse_column(DecodedDataset, text, "datasets", fingerprint)
    return info.model_copy(update={"directory": ""})


def read_grids(connection: sqlite3.Connection) -> dict[str, StoredGrid]:
    """Return the grids by id, oldest first. Raises as `read_contents`."""
    rows = connection.execute("SELECT id, spec, command, created, updated FROM grids ORDER BY created, id")
    return {
        key: StoredGrid(parse_column(Grid, spec, "grids", key), tuple(command.splitlines()), created, updated)
        for key, spec, command, created, updated in rows
    }


def make_run(row: tuple[Any, ...], attempts: Iterable[Attempt], epochs: Iterable[EpochEnded]) -> StoredRun:
    """Return the run in a row of `RUN_COLUMNS`; raises RowError."""
    key, spec, state, created, updated = row
    return StoredRun(parse_column(Run, spec, "runs", key), state, created, updated, tuple(attempts), tuple(epochs))


def read_run(connection: sqlite3.Connection, row: tuple[Any, ...]) -> StoredRun:
    """Return the run in a row of `RUN_COLUMNS`, with its attempts and epochs. Raises as `read_contents`."""
    attempts, epochs = (
        connection.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE run = ? ORDER BY {order}", row[:1])
        for table, columns, order in (("attempts", ATTEMPT_COLUMNS, "started"), ("epochs", EPOCH_COLUMNS, "epoch"))
    )
    return make_run(row, map(make_attempt, attempts), map(make_epoch, epochs))


def read_attempts(connection: sqlite3.Connection) -> dict[str, list[Attempt]]:
    """Return the attempts at each run, by id. Raises as `read_contents`."""
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    sql = f"SELECT run, {', '.join(ATTEMPT_COLUMNS)} FROM attempts ORDER BY run, started"
    for run, *values in connection.execute(sql):
        attempts[run].append(make_attempt(tuple(values)))
    return attempts


def _read_epochs(connection: sqlite3.Connection) -> dict[str, list[EpochEnded]]:
    epochs: dict[str, list[EpochEnded]] = defaultdict(list)
    for row in connection.execute(f"SELECT {', '.join(EPOCH_COLUMNS)} FROM epochs ORDER BY run, epoch"):
        event = make_epoch(row)
        epochs[event.run].append(event)
    return epochs


def make_dataset_rows(info: DecodedDataset) -> Rows:
    """Return the rows of a dataset, by table."""
    return {"datasets": [{"fingerprint": info.fingerprint, "info": info.model_dump_json()}]}


def make_grid_rows(key: str, stored: StoredGrid) -> Rows:
    """Return the rows of a grid, by table."""
    row = {
        "id": key,
        "key": stored.grid.key,
        "spec": stored.grid.model_dump_json(),
        "command": "\n".join(stored.commands),
        "created": stored.created,
        "updated": stored.updated,
    }
    return {"grids": [row]}


def make_run_rows(run_id: str, stored: StoredRun) -> Rows:
    """Return the rows of a run, by table; those that others refer to come first."""
    row = {
        "id": run_id,
        "spec": stored.run.model_dump_json(),
        "dataset": stored.run.dataset,
        "state": stored.state,
        "created": stored.created,
        "updated": stored.updated,
    }
    attempts = [
        {"run": run_id, **vars(attempt), "software": json.dumps(attempt.software)} for attempt in stored.attempts
    ]
    epochs = [dict(zip(EPOCH_COLUMNS, make_epoch_row(event), strict=True)) for event in stored.epochs]
    return {"runs": [row], "attempts": attempts, "epochs": epochs}
