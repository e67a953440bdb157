"""Contents of stores for tests, trained by the fake engine."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import small_study
from foreign_results import merge

from asymbp_cli.results import checksums, migrations
from asymbp_cli.results.contents import (
    Contents,
    StoredRun,
    make_dataset_rows,
    make_grid_rows,
    make_run_rows,
)
from asymbp_cli.results.merge import Merged, _insert
from asymbp_cli.results.source import Source
from asymbp_cli.results.store import Store

EPOCHS = 4


def trained(directory: Path, *methods: str, epochs: int = EPOCHS) -> Contents:
    """Return the contents of a store with a whole small study; one of its runs diverges."""
    grid = small_study.grid(*methods, epochs=epochs, multipliers=(1000.0, 1.0))
    small_study.train(directory, grid, command="asymbp reproduce --table 2")
    return load(directory)


def load(directory: Path) -> Contents:
    """Return the contents of the store in `directory`."""
    with Store.open(directory, create=False) as store:
        return store.contents()


def cut(stored: StoredRun, epochs: int) -> StoredRun:
    """Return a run as it was after `epochs`; whole if it had no more."""
    if epochs >= len(stored.epochs):
        return stored
    attempts = tuple(replace(attempt, outcome="interrupted") for attempt in stored.attempts)
    return replace(stored, state=None, attempts=attempts, epochs=stored.epochs[:epochs])


def with_runs(contents: Contents, **runs: StoredRun) -> Contents:
    """Return contents with these runs only."""
    return replace(contents, runs=runs)


def make_source(contents: Contents) -> Source:
    """Return contents as they are merged, without checking them."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrations.apply_steps(connection, 0, len(migrations.MIGRATIONS))
    for rows in (
        *map(make_dataset_rows, contents.datasets.values()),
        *(make_grid_rows(key, stored) for key, stored in contents.grids.items()),
        *(make_run_rows(run_id, stored) for run_id, stored in contents.runs.items()),
    ):
        _insert(connection, rows)
    checksums.take(connection)
    return Source(connection, contents.datasets, contents.grids)


def merge_all(directory: Path, *several: Contents) -> list[Merged]:
    with Store.open(directory) as store:
        return [merged for contents in several for merged in merge([make_source(contents)], store)]
