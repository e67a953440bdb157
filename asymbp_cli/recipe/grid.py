"""Grids of cells: columns and rows, the runs of each cell, a grid's identity, and how two become one."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache, reduce
from itertools import product
from typing import Annotated, Any

from pydantic import Field

from asymbp_cli.datasets.catalog import PAPER_ROWS, FolderSource
from asymbp_cli.recipe.procedure import Procedure
from asymbp_cli.recipe.table import table_files
from asymbp_cli.specs.base import Spec
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, younger_paths


class GridColumn(Spec):
    """A column; its cell is selected among the runs of all its procedures."""

    header: str
    entries: Annotated[tuple[Procedure, ...], Field(strict=False, min_length=1)]
    paper_name: str | None = None  # the paper's column to compare with, by method
    note: str = ""  # how its protocol differs from the grid's


class GridRow(Spec):
    """A dataset with its network; neither if the dataset is not installed."""

    label: str
    key: str
    paper_name: str | None
    exact: bool
    dataset: str | None  # fingerprint
    network: Network | None  # resolved
    note: str = ""
    train_count: int | None = None  # samples, held-out ones too; rows of early stores have none
    held_out: int | None = None  # of these; None if nothing is, and in rows of early stores
    folder: FolderSource | None = None  # of a user's own images, as they were named; early stores have none


class Grid(Spec):
    """A table of cells, as planned; stored with its runs, so that it can be rendered again."""

    key: str  # "table-2", or a recipe's name
    title: str
    columns: Annotated[tuple[GridColumn, ...], Field(strict=False)]
    rows: Annotated[tuple[GridRow, ...], Field(strict=False)]
    baseline: GridColumn | None = None  # colours compare with it; need not be a column
    protocol_label: str
    seeds: Annotated[tuple[int, ...], Field(strict=False, min_length=1)] = (0,)
    base: Protocol | None = None  # that columns may differ from; None in grids of early stores

    @property
    def is_of_paper(self) -> bool:
        """Whether it is one of the paper's tables: no table of a user has its key."""
        return self.key in {f"table-{key}" for key in table_files()}

    @property
    def validation_fraction(self) -> float:
        """The share of the training set that selects, 0 under the paper's rule."""
        return self.protocol.validation_fraction

    @property
    def protocol(self) -> Protocol:
        """The protocol of its columns, except those with a note."""
        if self.base:
            return self.base
        plain = next((column for column in self.columns if not column.note), self.columns[0])
        return plain.entries[0].protocol

    def runs(self, row: GridRow, column: GridColumn) -> tuple[Run, ...]:
        """Return the runs of a cell: procedures x seeds x rate multipliers.

        Without its dataset a row has none.
        """
        if row.dataset is None or row.network is None:
            return ()
        return _runs(row.dataset, row.network, (row.train_count, row.held_out), column.entries, self.seeds)

    def is_comparable(self, column: GridColumn) -> bool:
        """Return whether a column can be compared with the baseline: both train as many epochs."""
        entries = (*column.entries, *self.baseline.entries) if self.baseline else ()
        return len({entry.protocol.epochs for entry in entries}) == 1

    def all_runs(self) -> dict[str, Run]:
        """Return every run of the grid by id, the baseline's included."""
        columns = [*self.columns]
        if self.baseline:
            columns.append(self.baseline)
        cells = product(self.rows, columns)
        return {run.id: run for row, column in cells for run in self.runs(row, column)}


@lru_cache(maxsize=4096)
def _runs(
    dataset: str,
    network: Network,
    counts: tuple[int | None, int | None],
    procedures: tuple[Procedure, ...],
    seeds: tuple[int, ...],
) -> tuple[Run, ...]:
    """Return the runs of a cell; cached, since planning, filling and reporting all ask, and ids take time."""
    return tuple(
        Run(
            dataset=dataset,
            network=network,
            method=procedure.method,
            protocol=protocol,
            rate_multiplier=multiplier,
            seed=seed,
        )
        for procedure, seed in product(procedures, seeds)
        for protocol in (resolve_protocol(procedure, *counts),)
        for multiplier in protocol.rate_multipliers
    )


def resolve_protocol(procedure: Procedure, train_count: int | None, held_out: int | None = None) -> Protocol:
    """Return a procedure's protocol on so many training samples, of which some are held out.

    Only runs that average test statistics over short epochs may cycle. All others keep the ids that they had
    before there was a choice, and so do the rows of early stores.
    """
    protocol, batch_norm = procedure.protocol, procedure.method.batch_norm
    if batch_norm != "none" and train_count is not None and protocol.has_short_epochs(train_count, held_out):
        return protocol
    return protocol.model_copy(update={"batch_norm_short_epochs": "once"})


def grid_id(grid: Grid) -> str:
    """Return the identity of a grid, without its datasets and title, so that repeated requests share one table.

    Fields that are younger than the first tables are no part of it at the values that these had. How short epochs
    are treated never is: `paper`, `quick` and `demo` did not say so at first.
    """
    exclude: dict[str, Any] = {
        "rows": True,
        "title": True,
        "base": True,
        "columns": {i: _derived_fields(column) for i, column in enumerate(grid.columns)},
    }
    if grid.baseline:
        exclude["baseline"] = _derived_fields(grid.baseline)
    content = grid.model_dump_json(exclude=exclude)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def table_ids(grid: Grid) -> tuple[str, str]:
    """Return the ids that a store may keep a grid under: `grid_id`, and one that is made of its title too."""
    identity = grid_id(grid)
    return identity, hashlib.sha256(f"{identity}/{grid.title}".encode()).hexdigest()[:16]


def choose_table_id(grid: Grid, titles: Mapping[str, str]) -> str:
    """Return the id of a grid's table among stored ones, of which `titles` has the titles by id.

    A table of a user with another title is another table, or a number would get a title that is not its own. The
    first one of a `grid_id` has that, as in early stores. A table of the paper stays one if its title is reworded.
    """
    plain, titled = table_ids(grid)
    if grid.is_of_paper:
        return plain
    return titled if titled in titles or titles.get(plain, grid.title) != grid.title else plain


def _derived_fields(column: GridColumn) -> dict[str, Any]:
    """Return the fields of a column that a grid's identity leaves out: derived and younger ones."""
    entries = {j: _younger_fields(procedure) for j, procedure in enumerate(column.entries)}
    return {"paper_name": True, "note": True, "entries": entries}


def _younger_fields(procedure: Procedure) -> dict[str, Any]:
    content = procedure.model_dump(mode="json")
    found: dict[str, Any] = {"protocol": {"batch_norm_short_epochs": True}}
    for path in younger_paths(content):
        if path != ("protocol", "precision"):  # tables always had one
            *place, name = path
            reduce(lambda part, key: part.setdefault(key, {}), place, found)[name] = True
    return found


def merge_grids(old: Grid, new: Grid) -> Grid:
    """Return `new` with the rows of both.

    A row of both is taken from `new`, unless only `old` knows its samples. A grid of an early store, which knows
    them of no row, never replaces the columns of one that does. A placeholder row is replaced once its dataset is
    installed.
    """
    if _knows_samples(old) and not _knows_samples(new):
        old, new = new, old
    rows: dict[object, GridRow] = {}
    for row in (*old.rows, *new.rows):
        kept = rows.get(identity := row_identity(row))
        if kept is None or _count_known(row) >= _count_known(kept):
            rows[identity] = row
    installed = {row.key for row in rows.values() if row.dataset}
    merged = [row for row in rows.values() if row.dataset or row.key not in installed]
    return new.model_copy(update={"rows": sort_rows(merged)})


def _count_known(row: GridRow) -> int:
    """Return how much is known of a row's samples."""
    return (row.train_count is not None) + (row.held_out is not None)


def _knows_samples(grid: Grid) -> bool:
    return any(row.train_count is not None for row in grid.rows)


def row_identity(row: GridRow) -> tuple[object, ...]:
    """Return the identity of a row in every grid: dataset and network, or the key of the missing dataset."""
    return row.dataset, row.network, row.dataset or row.key


def sort_rows(rows: Iterable[GridRow]) -> tuple[GridRow, ...]:
    """Return rows in the order of the paper's tables, then the others as they come."""
    order = list(PAPER_ROWS.values())
    return tuple(sorted(rows, key=lambda row: order.index(row.key) if row.key in order else len(order)))
