"""From recipes and tables to runs: grids of cells, the runs of each, and stacks of runs to train."""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import product
from typing import Annotated, Any

from pydantic import Field

from asymbp_cli.datasets.catalog import PAPER_ROWS
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.network import network_for
from asymbp_cli.recipe.recipe import Recipe
from asymbp_cli.recipe.table import ColumnRun, TableSpec, column_protocol
from asymbp_cli.specs.base import Spec
from asymbp_cli.specs.methods import Method, method_name
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import BatchSize, Protocol
from asymbp_cli.specs.runs import Run


class GridEntry(Spec):
    """A method under a protocol: one source of runs for a column."""

    method: Method
    protocol: Protocol


class GridColumn(Spec):
    """A column; its cell is chosen among the runs of all its entries."""

    header: str
    entries: Annotated[tuple[GridEntry, ...], Field(strict=False, min_length=1)]
    paper_name: str | None = None  # the paper's column to compare with, by method
    note: str = ""  # where its protocol is not the grid's


class GridRow(Spec):
    """A dataset with the network that takes it; neither where the dataset is not here."""

    label: str
    key: str
    paper_name: str | None
    exact: bool
    dataset: str | None  # fingerprint
    network: Network | None  # resolved
    note: str = ""


class Grid(Spec):
    """A table of cells, as planned; stored with its runs, so that it can be rendered again."""

    key: str  # "table-2", or a recipe's name
    title: str
    columns: Annotated[tuple[GridColumn, ...], Field(strict=False)]
    rows: Annotated[tuple[GridRow, ...], Field(strict=False)]
    baseline: GridColumn | None = None  # colours compare with it; need not be a column
    protocol_label: str
    seeds: Annotated[tuple[int, ...], Field(strict=False, min_length=1)] = (0,)
    base: Protocol | None = None  # that columns differ from; None: planned before it was kept

    @property
    def validation_fraction(self) -> float:
        """The share of the training set that selects, 0 under the paper's rule."""
        return self.protocol.validation_fraction

    @property
    def protocol(self) -> Protocol:
        """The protocol that its columns share, but for those with a note."""
        if self.base:
            return self.base
        plain = next((found for found in self.columns if not found.note), self.columns[0])
        return plain.entries[0].protocol

    def runs(self, row: GridRow, column: GridColumn) -> tuple[Run, ...]:
        """Return the runs of a cell: entries x seeds x rate multipliers; none where the dataset is not here."""
        if row.dataset is None or row.network is None:
            return ()
        return _runs(row.dataset, row.network, column.entries, self.seeds)

    def all_runs(self) -> dict[str, Run]:
        """Return every run of the grid by id, the baseline's included."""
        columns = [*self.columns, *([self.baseline] if self.baseline else [])]
        cells = product(self.rows, columns)
        return {run.id: run for row, column in cells for run in self.runs(row, column)}


@lru_cache(maxsize=4096)
def _runs(
    dataset: str, network: Network, entries: tuple[GridEntry, ...], seeds: tuple[int, ...]
) -> tuple[Run, ...]:
    """Return the runs of a cell; remembered, as planning, filling and reporting ask again, and ids take time."""
    return tuple(
        Run(
            dataset=dataset,
            network=network,
            method=entry.method,
            protocol=entry.protocol,
            rate_multiplier=multiplier,
            seed=seed,
        )
        for entry, seed in product(entries, seeds)
        for multiplier in entry.protocol.rate_multipliers
    )


def missing_row(key: str) -> GridRow:
    """Return the row of a dataset of the paper that is not here."""
    name = next(name for name, known in PAPER_ROWS.items() if known == key)
    return GridRow(label=name, key=key, paper_name=name, exact=True, dataset=None, network=None)


def row(info: DecodedDataset, network: Network | None) -> GridRow:
    """Return the row of a prepared dataset, with `network` or the dataset's own resolved for its classes."""
    chosen = (network or network_for(info.key)).resolve(len(info.classes))
    notes = [info.note] if info.note else []
    if info.paper_name and not info.exact:
        notes.append(f"not the paper's own data; its {info.paper_name} row stands beside for orientation")
    if network is not None and chosen != network_for(info.key).resolve(len(info.classes)):
        notes.append(f"network {', '.join(chosen.layers)}")
    comparable = info.paper_name if chosen == network_for(info.key).resolve(len(info.classes)) else None
    return GridRow(
        label=info.label,
        key=info.key,
        paper_name=comparable,
        exact=info.exact,
        dataset=info.fingerprint,
        network=chosen,
        note="; ".join(notes),
    )


def column(header: str, entries: Sequence[GridEntry], protocol: Protocol) -> GridColumn:
    """Return a column of a grid under `protocol`.

    The paper's number stands beside it if all its entries are of one method, and one follows that protocol
    unchanged.
    """
    methods = list(dict.fromkeys(method_name(entry.method) for entry in entries))
    plain = [entry for entry in entries if entry.protocol == protocol]
    ways = [
        (f"{method_name(entry.method)}, " if len(methods) > 1 else "")
        + (ways_to_differ(protocol, entry.protocol) or "as the protocol says")
        for entry in entries
    ]
    note = "" if len(plain) == len(entries) == 1 else "; or ".join(ways)
    return GridColumn(
        header=header,
        entries=tuple(entries),
        paper_name=methods[0] if plain and len(methods) == 1 else None,
        note=f"the better of {len(entries)} procedures: {note}" if len(entries) > 1 else note,
    )


def ways_to_differ(base: Protocol, other: Protocol) -> str:
    """Return the fields of `other` that differ from `base`, in words: `weight_decay 0, batch_size 50`."""
    return ", ".join(
        f"{name} {_in_words(value)}"
        for name in Protocol.model_fields
        if (value := getattr(other, name)) != getattr(base, name)
    )


def _in_words(value: object) -> str:
    if isinstance(value, tuple) and value and isinstance(value[0], BatchSize):
        return ", ".join(f"{entry.size} from epoch {entry.from_epoch}" for entry in value)
    return ", ".join(map(_in_words, value)) if isinstance(value, tuple) else f"{value}"


def grid_of_recipe(recipe: Recipe, infos: Sequence[DecodedDataset]) -> Grid:
    """Return the grid of a recipe: its methods as columns, its datasets as rows."""
    columns = [
        column(entry.label, [GridEntry(method=entry.method, protocol=entry.protocol)], recipe.protocol)
        for entry in recipe.methods
    ]
    baseline = next((found for found in columns if found.paper_name == "SGD"), None)
    return Grid(
        key=f"recipe-{recipe.name}",
        title=recipe.title or recipe.name,
        columns=tuple(columns),
        rows=tuple(row(info, recipe.network) for info in infos),
        baseline=baseline,
        protocol_label=recipe.protocol_label,
        seeds=recipe.seeds,
        base=recipe.protocol,
    )


def grid_of_table(
    table: TableSpec,
    protocol: Protocol,
    label: str,
    infos: Sequence[DecodedDataset],
    *,
    missing: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
) -> Grid:
    """Return the grid of one of the paper's tables, or of a user's, under `protocol`.

    `missing` are datasets of the paper that get a row without runs.
    """

    def entries(runs: Iterable[ColumnRun]) -> list[GridEntry]:
        return [GridEntry(method=r.method, protocol=column_protocol(protocol, r.overlay)) for r in runs]

    columns = tuple(column(found.header, entries(found.runs), protocol) for found in table.columns)
    baseline = [GridEntry(method=table.baseline_method, protocol=protocol)]
    return Grid(
        key=f"table-{table.key}",
        title=table.title,
        columns=columns,
        rows=in_order([*(row(info, None) for info in infos), *map(missing_row, missing)]),
        baseline=column(table.baseline, baseline, protocol),
        protocol_label=label,
        seeds=tuple(seeds),
        base=protocol,
    )


def grid_id(grid: Grid) -> str:
    """Return what two askings for the same table share: everything but its datasets."""
    told = {"paper_name", "note"}  # follow from the rest
    exclude: dict[str, Any] = {
        "rows": True,
        "title": True,
        "base": True,
        "columns": {"__all__": told},
        "baseline": told,
    }
    content = grid.model_dump_json(exclude=exclude)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def joined(old: Grid, new: Grid) -> Grid:
    """Return `new` with the rows of both.

    A row asked for again is taken from `new`; a dataset that was missing gives way to the same when it is here.
    """
    rows = {(row.dataset, row.network, row.dataset or row.key): row for row in (*old.rows, *new.rows)}
    here = {row.key for row in rows.values() if row.dataset}
    kept = [row for row in rows.values() if row.dataset or row.key not in here]
    return new.model_copy(update={"rows": in_order(kept)})


def in_order(rows: Iterable[GridRow]) -> tuple[GridRow, ...]:
    """Return rows in the order of the paper's tables, others behind them as they come."""
    order = list(PAPER_ROWS.values())
    return tuple(sorted(rows, key=lambda row: order.index(row.key) if row.key in order else len(order)))


def check_distinct(labels: Sequence[str], what: str) -> None:
    """Raise UsageError where two rows or columns would carry the same name."""
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f'two {what} are called "{label}"; give one of them another label')
