"""All that can be found wrong with stored results: the file, its references, and every row, one by one."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.files.paths import FILE_NAME
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.results import checksums
from asymbp_cli.results.checksums import Owner
from asymbp_cli.results.contents import RUN_COLUMNS, StoredGrid, read_run
from asymbp_cli.results.database import RowError, copy_to_memory, parse_column, store_errors
from asymbp_cli.results.directory import check_directory
from asymbp_cli.results.validity import Damage, check_dataset, check_grid, check_run
from asymbp_cli.text import count

Row = tuple[Any, ...]
_MOST_ERRORS = 100  # of the file itself


@dataclass(frozen=True)
class Problem:
    """Something that is wrong, in words, and with what; None: with the file."""

    text: str
    owner: Owner | None = None
    newer: bool = False  # no damage: a newer version has written it


@dataclass(frozen=True)
class Checked:
    """What was read, and what is wrong with it, in words."""

    runs: int
    epochs: int
    late: int  # runs that had no checksum when they were written
    problems: tuple[str, ...]
    missing: tuple[str, ...]  # rows that checkpoints stand on, in words


def check_results(directory: Path, saved: Mapping[str, int] | None = None) -> Checked:
    """Return the damage in the results in `directory`, which is only read.

    `saved` has the epoch of each run's checkpoint, read before: no database that is whole is behind them.

    Raises StoreError if there are none, or the file cannot be read at all.
    """
    check_directory(directory, create=False)
    path = directory / FILE_NAME
    with store_errors(path), closing(copy_to_memory(path)) as connection:
        problems = tuple(problem.text for problem in find_problems(connection))
        missing = tuple(_check_ahead(connection, saved or {}))
        late = _count(connection, "checksums WHERE late AND kind = 'runs' AND id IN (SELECT id FROM runs)")
        return Checked(_count(connection, "runs"), _count(connection, "epochs"), late, problems, missing)


def find_problems(connection: sqlite3.Connection) -> list[Problem]:
    """Return all that is wrong in a database, which is a copy. Raises sqlite3.Error if it cannot be read."""
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    problems = [*_check_file(connection), *_check_references(connection), *_check_rows(connection)]
    explained = {problem.owner for problem in problems}
    changed = [owner for owner in checksums.find_damaged(connection) if owner not in explained]
    return [*problems, *(Problem(f"{owner} is not as it was written", owner) for owner in changed)]


def _check_file(connection: sqlite3.Connection) -> Iterator[Problem]:
    """Yield what SQLite finds wrong with its pages and indices."""
    for (message,) in connection.execute(f"PRAGMA integrity_check({_MOST_ERRORS})"):
        if message != "ok":
            yield Problem(f"the file: {message}")


def _check_references(connection: sqlite3.Connection) -> Iterator[Problem]:
    """Yield which tables have rows whose run or dataset is missing."""
    found = connection.execute("PRAGMA foreign_key_check")
    for table, parent in dict.fromkeys((table, parent) for table, _, parent, _ in found):
        yield Problem(f"the table {table}: a row belongs to one that is missing in {parent}")


def _check_rows(connection: sqlite3.Connection) -> Iterator[Problem]:
    """Yield what cannot be in each dataset, table and run."""
    datasets: dict[str, DecodedDataset] = {}

    def check_one_dataset(row: Row) -> None:
        datasets[row[0]] = info = parse_column(DecodedDataset, row[1], "datasets", row[0])
        check_dataset(row[0], info)

    def check_one_run(row: Row) -> None:
        check_run(row[0], read_run(connection, row), datasets)

    checks: list[tuple[str, str, Callable[[Row], None]]] = [
        ("datasets", "fingerprint, info FROM datasets", check_one_dataset),
        ("grids", "id, spec, command, created, updated FROM grids", _check_one_grid),
        ("runs", f"{', '.join(RUN_COLUMNS)} FROM runs", check_one_run),
    ]
    for kind, columns, check in checks:
        for row in connection.execute(f"SELECT {columns} ORDER BY 1").fetchall():
            yield from _try(Owner(kind, str(row[0])), check, row)


def _check_ahead(connection: sqlite3.Connection, saved: Mapping[str, int]) -> Iterator[str]:
    """Yield which runs have fewer epochs than their checkpoints say."""
    last = dict(connection.execute("SELECT run, max(epoch) FROM epochs GROUP BY run"))
    for run_id, epoch in sorted(saved.items()):
        if epoch > last.get(run_id, 0):
            yield (
                f"the run {run_id} has {count(last.get(run_id, 0), 'epoch')}, and its checkpoint is of epoch "
                f"{epoch}: the latest rows are missing. Perhaps {FILE_NAME} was copied without its {FILE_NAME}-wal"
            )


def _try(owner: Owner, check: Callable[[Row], None], row: Row) -> Iterator[Problem]:
    """Yield why `check` refuses a row, if it does."""
    try:
        check(row)
    except RowError as error:
        yield Problem(f"{owner}: {error.reason}", owner, error.unknown is not None)
    except Damage as error:
        yield Problem(str(error), owner)
    except (TypeError, ValueError, AttributeError):
        yield Problem(f"{owner}: a value is of another type than asymbp writes", owner)


def _count(connection: sqlite3.Connection, table: str) -> int:
    number: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return number


def _check_one_grid(row: Row) -> None:
    key, spec, command, created, updated = row
    grid = parse_column(Grid, spec, "grids", key)
    check_grid(key, StoredGrid(grid, tuple(command.splitlines()), created, updated))
