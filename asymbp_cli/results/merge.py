"""Merging the results of others into a store. Numbers that differ are reported, never mixed or averaged."""

import json
import sqlite3
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from asymbp_cli.recipe.grid import Grid, choose_table_id, merge_grids, row_identity
from asymbp_cli.results import checksums
from asymbp_cli.results.contents import (
    COLUMNS,
    RUN_COLUMNS,
    Rows,
    StoredGrid,
    StoredRun,
    make_dataset_rows,
    make_grid_rows,
    read_datasets,
    read_grids,
    read_run,
)
from asymbp_cli.results.source import Source
from asymbp_cli.results.store import Store

_RUN = f"SELECT {', '.join(RUN_COLUMNS)} FROM runs WHERE id = ?"
#: of each epoch, what must be equal
_COUNTS = """
    SELECT epoch, train_wrong, train_seen, test_wrong, test_seen, validation_wrong, validation_seen, one_class,
        diverged FROM epochs WHERE run = ? ORDER BY epoch"""
_CACHE = 65_536  # kB of pages in memory
#: that have rows of a run: the column that says of which one; what others refer to comes first
_TABLES = {"runs": "id", "attempts": "run", "epochs": "run"}


@dataclass(frozen=True)
class Difference:
    """A run whose numbers are not the same in the store, which keeps its own, and in what was to be merged."""

    run: str
    kept: StoredRun
    other: StoredRun
    epoch: int | None  # the first one that differs; None: only how the run ended does


@dataclass(frozen=True)
class MovedCells:
    """Cells of a table that had results, and that other runs fill now."""

    grid: Grid  # as it is now
    count: int


@dataclass(frozen=True)
class Merged:
    """What became of the runs that were merged, by id, and of the tables that were there."""

    new: tuple[str, ...]
    longer: tuple[str, ...]  # replaced fewer epochs with the same numbers
    same: tuple[str, ...]  # nothing that the store had not
    different: tuple[Difference, ...]
    moved: tuple[MovedCells, ...] = ()


def add_sources(sources: Iterable[Source], store: Store) -> list[Merged]:
    """Add `sources` to a store that is written to, one after the other, in one transaction: all or nothing.

    Of a run that both have the longer training is kept, if the counts of their common epochs are equal. Otherwise
    the store keeps what it has. What is read before the writing ends is not verified once more.
    """
    return store.write_together(lambda target: _add_all(sources, target))


def _add_all(sources: Iterable[Source], target: sqlite3.Connection) -> list[Merged]:
    target.execute(f"PRAGMA cache_size = -{_CACHE}")  # rows come in any order, and a page is written once
    return [_add(source, target) for source in sources]


def _add(source: Source, target: sqlite3.Connection) -> Merged:
    """Add a source to a database; return the outcome."""
    present, others = _read_progress(target), _read_progress(source.connection)
    common = sorted(present.keys() & others.keys())
    different = {found.run: found for found in _find_differences(common, source.connection, target)}
    equal = [run_id for run_id in common if run_id not in different]
    longer = [run_id for run_id in equal if others[run_id] > present[run_id]]
    new = [run_id for run_id in others if run_id not in present]
    datasets = read_datasets(target)
    for fingerprint, info in source.datasets.items():
        if fingerprint not in datasets:
            _insert(target, make_dataset_rows(info))
    before = read_grids(target)
    after = _merge_grids(before, source.grids)
    for key, grid in after.items():
        if grid != before.get(key):
            _insert(target, make_grid_rows(key, grid))
    _copy_runs([*new, *longer], source.connection, target)
    same = tuple(run_id for run_id in equal if others[run_id] <= present[run_id])
    moved = tuple(_moved_cells(before, after, present))
    return Merged(tuple(new), tuple(longer), same, tuple(different.values()), moved)


def _read_progress(connection: sqlite3.Connection) -> dict[str, tuple[int, bool]]:
    """Return how many epochs each run has, and whether it has ended, by id."""
    rows = connection.execute(
        "SELECT id, (SELECT count(*) FROM epochs WHERE run = id), state IS NOT NULL FROM runs ORDER BY id"
    )
    return {run_id: (count, bool(ended)) for run_id, count, ended in rows}


def _find_differences(
    run_ids: Iterable[str], other: sqlite3.Connection, kept: sqlite3.Connection
) -> Iterator[Difference]:
    """Yield which of the runs that two databases have differ."""
    for run_id in run_ids:
        epoch = _first_difference(*(database.execute(_COUNTS, (run_id,)).fetchall() for database in (kept, other)))
        rows = [database.execute(_RUN, (run_id,)).fetchone() for database in (kept, other)]
        states = {state for _, _, state, *_ in rows if state}
        if epoch is not None or len(states) > 1:
            yield Difference(run_id, read_run(kept, rows[0]), read_run(other, rows[1]), epoch)


def _first_difference(kept: list[tuple[int, ...]], other: list[tuple[int, ...]]) -> int | None:
    """Return the first epoch of both whose counts differ; losses and seconds may."""
    counts = {row[0]: row for row in kept}
    return next((row[0] for row in other if counts.get(row[0], row) != row), None)


def _copy_runs(run_ids: Iterable[str], source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy runs as they are, with their checksums, in place of runs of these ids."""
    of_runs, ids = "IN (SELECT value FROM json_each(?))", (json.dumps(list(run_ids)),)
    with checksums.not_watching(target):
        for table, owner in reversed(_TABLES.items()):
            target.execute(f"DELETE FROM {table} WHERE {owner} {of_runs}", ids)
        for table, owner in _TABLES.items():
            names, places = ", ".join(COLUMNS[table]), ", ".join("?" * len(COLUMNS[table]))
            rows = source.execute(f"SELECT {names} FROM {table} WHERE {owner} {of_runs} ORDER BY 1, 2", ids)
            target.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", rows)
        checksums.copy("runs", list(run_ids), source, target)


def _merge_grids(present: Mapping[str, StoredGrid], others: Mapping[str, StoredGrid]) -> dict[str, StoredGrid]:
    """Return the tables of both, by id."""
    grids = dict(present)
    for stored in others.values():
        key = choose_table_id(stored.grid, {key: grid.grid.title for key, grid in grids.items()})
        grids[key] = _merge_grid(grids[key], stored) if key in grids else stored
    return grids


def _moved_cells(
    before: Mapping[str, StoredGrid], after: Mapping[str, StoredGrid], runs: Container[str]
) -> Iterator[MovedCells]:
    """Yield how many cells of each table had results, of `runs`, and have other runs now."""
    for key, stored in before.items():
        count = _count_moved(stored.grid, after[key].grid, runs)
        if count:
            yield MovedCells(after[key].grid, count)


def _count_moved(before: Grid, after: Grid, runs: Container[str]) -> int:
    """Return in how many cells other runs take the place of those in `runs`; columns are in the same order."""
    if before == after:
        return 0
    rows = {row_identity(row): row for row in after.rows}
    pairs = [(row, rows[row_identity(row)]) for row in before.rows if row_identity(row) in rows]
    columns = list(zip(before.columns, after.columns, strict=True))
    cells = [
        ({run.id for run in before.runs(old_row, old)}, {run.id for run in after.runs(new_row, new)})
        for old_row, new_row in pairs
        for old, new in columns
    ]
    return sum(old != new and any(run_id in runs for run_id in old) for old, new in cells)


def _merge_grid(kept: StoredGrid, other: StoredGrid) -> StoredGrid:
    """Return a grid with the rows and commands of both; of a row of both, the one that `merge_grids` takes."""
    first, second = sorted((kept, other), key=lambda stored: stored.created)
    older, newer = sorted((kept, other), key=lambda stored: stored.updated)
    return StoredGrid(
        grid=_merge_rows(older.grid, newer.grid),
        commands=tuple(dict.fromkeys((*first.commands, *second.commands))),
        created=first.created,
        updated=newer.updated,
    )


def _merge_rows(older: Grid, newer: Grid) -> Grid:
    """Return the grid that has all rows; one with the rows of both if each has some of its own."""
    for grid, other in ((newer, older), (older, newer)):
        if all(row in grid.rows for row in other.rows):
            return grid
    return merge_grids(older, newer)


def _insert(target: sqlite3.Connection, rows: Rows) -> None:
    for table, found in rows.items():
        for row in found:
            places = ", ".join("?" * len(row))
            sql = f"INSERT OR REPLACE INTO {table} ({', '.join(row)}) VALUES ({places})"
            target.execute(sql, tuple(row.values()))
