"""Merging the results of others into a store. Numbers that differ are reported, never mixed or averaged."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.grid import Grid, choose_table_id, merge_grids, row_identity
from asymbp_cli.results.contents import (
    Contents,
    Rows,
    StoredGrid,
    StoredRun,
    make_dataset_rows,
    make_grid_rows,
    make_run_rows,
)
from asymbp_cli.results.journal import Statement
from asymbp_cli.results.store import Store


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

    table: str
    protocol: str  # its label
    count: int


@dataclass(frozen=True)
class Merged:
    """What became of the runs that were merged, by id, and of the tables that were there."""

    new: tuple[str, ...]
    longer: tuple[str, ...]  # replaced fewer epochs with the same numbers
    same: tuple[str, ...]  # nothing that the store had not
    different: tuple[Difference, ...]
    moved: tuple[MovedCells, ...] = ()


def merge(sources: Iterable[Contents], store: Store) -> list[Merged]:
    """Add `sources` to the store, one after the other, in one transaction: all of them or nothing.

    Of a run that both have the longer training is kept, if the counts of their common epochs are equal. Otherwise
    the store keeps what it has. Raises StoreError if another process writes to the store.
    """
    found = []
    with store.writing():
        before = after = store.contents()
        for contents in sources:
            merged, after = _add(contents, after)
            found.append(merged)
        store.write_together(list(_statements(before, after)))
    return found


def _add(contents: Contents, present: Contents) -> tuple[Merged, Contents]:
    """Return the outcome of merging `contents` into `present`, and the contents after it."""
    new = [run_id for run_id in contents.runs if run_id not in present.runs]
    longer, same, different = list[str](), list[str](), list[Difference]()
    for run_id in sorted(contents.runs.keys() & present.runs.keys()):
        kept, other = present.runs[run_id], contents.runs[run_id]
        epoch = _first_difference(kept.epochs, other.epochs)
        if epoch is not None or (kept.state and other.state and kept.state != other.state):
            different.append(Difference(run_id, kept, other, epoch))
        else:
            (longer if _progress(other) > _progress(kept) else same).append(run_id)
    grids = dict(present.grids)
    for stored in contents.grids.values():
        key = choose_table_id(stored.grid, {key: grid.grid.title for key, grid in grids.items()})
        grids[key] = _merge_grid(grids[key], stored) if key in grids else stored
    after = Contents(
        datasets={**contents.datasets, **present.datasets},
        grids=grids,
        runs={**present.runs, **{run_id: contents.runs[run_id] for run_id in (*new, *longer)}},
    )
    moved = tuple(_moved_cells(present, after))
    return Merged(tuple(new), tuple(longer), tuple(same), tuple(different), moved), after


def _moved_cells(before: Contents, after: Contents) -> Iterator[MovedCells]:
    """Yield how many cells of each table had results and have other runs now."""
    for key, stored in before.grids.items():
        count = _count_moved(stored.grid, after.grids[key].grid, before.runs)
        if count:
            yield MovedCells(stored.grid.key, stored.grid.protocol_label, count)


def _count_moved(before: Grid, after: Grid, runs: Mapping[str, StoredRun]) -> int:
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
    return sum(old != new and not old.isdisjoint(runs) for old, new in cells)


def _first_difference(kept: tuple[EpochEnded, ...], other: tuple[EpochEnded, ...]) -> int | None:
    """Return the first epoch of both whose counts differ."""
    counts = {event.epoch: _counts(event) for event in kept}
    return next((e.epoch for e in other if e.epoch in counts and counts[e.epoch] != _counts(e)), None)


def _counts(event: EpochEnded) -> tuple[object, ...]:
    """Return the numbers that must be equal; losses and seconds need not."""
    train = event.train_wrong, event.train_seen
    test = event.test_wrong, event.test_seen
    validation = event.validation_wrong, event.validation_seen
    return train, test, validation, event.one_class, event.diverged


def _progress(stored: StoredRun) -> tuple[int, bool]:
    return len(stored.epochs), stored.state is not None


def _statements(before: Contents, after: Contents) -> Iterator[Statement]:
    """Yield what turns a database with the contents `before` into one with those `after`."""
    for fingerprint, info in after.datasets.items():
        if fingerprint not in before.datasets:
            yield from _insert(make_dataset_rows(info))
    for key, grid in after.grids.items():
        if grid != before.grids.get(key):
            yield from _insert(make_grid_rows(key, grid))
    for run_id, stored in after.runs.items():
        if stored is before.runs.get(run_id):
            continue
        for sql in ("DELETE FROM epochs WHERE run = ?", "DELETE FROM attempts WHERE run = ?"):
            yield sql, (run_id,)
        yield "DELETE FROM runs WHERE id = ?", (run_id,)
        yield from _insert(make_run_rows(run_id, stored))


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


def _insert(rows: Rows) -> Iterator[Statement]:
    for table, found in rows.items():
        for row in found:
            places = ", ".join("?" * len(row))
            sql = f"INSERT OR REPLACE INTO {table} ({', '.join(row)}) VALUES ({places})"
            yield sql, tuple(row.values())
