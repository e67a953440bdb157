"""Two tables cell by cell: two stores, or two protocols of one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import hypot
from statistics import median
from typing import Any

from asymbp_cli.analysis.agreement import Conditions
from asymbp_cli.analysis.cells import Cell
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.grid import Grid, GridColumn, grid_id
from asymbp_cli.recipe.labels import name_version
from asymbp_cli.report.cells import format_error
from asymbp_cli.report.document import Listing
from asymbp_cli.report.records import round_value
from asymbp_cli.report.text import head_tables
from asymbp_cli.specs.methods import Method
from asymbp_cli.text import count, list_some


@dataclass(frozen=True)
class Side:
    """One side of a comparison: its name as the user wrote it, its tables, and the protocol that ends the name.

    Without a protocol the name is a directory, whose tables may have several.
    """

    name: str
    tables: tuple[FilledGrid, ...]
    protocol: str = ""

    @property
    def place(self) -> str:
        """Return the text before a protocol that names fewer of the tables: `DIR:`, or nothing."""
        return self.name.removesuffix(self.protocol) if self.protocol else f"{self.name}:"


@dataclass(frozen=True)
class ComparedCell:
    """A cell that both sides have, with a number on each."""

    dataset: str
    column: str
    first: Cell
    second: Cell

    @property
    def points(self) -> float:
        """Return the second error minus the first; of equal medians it is 0, and never -0."""
        return round((self.second.error_percent or 0.0) - (self.first.error_percent or 0.0), 6) + 0.0

    @property
    def complete(self) -> bool:
        """Return whether both sides have all their runs."""
        return self.first.complete and self.second.complete


@dataclass(frozen=True)
class ComparedTable:
    """A table that both sides have, with what each is called in its heading."""

    title: str
    first: str
    second: str
    cells: tuple[ComparedCell, ...]


def compare_tables(first: Side, second: Side) -> list[ComparedTable]:
    """Return each table that both sides have, with every cell that both have.

    Tables that are the same are a pair. The others are paired by identity without the title, by key, protocol and
    seeds, by key and protocol, or by key: the first of these by which each side has only one. If that gives no
    cell, as for a recipe of one column of a table, those of one dataset, header and method are compared. Raises
    UsageError if there is none, or if a pair of tables is ambiguous.
    """
    pairs = [(*pair, tuple(_compare_cells(*pair))) for pair in _pair_tables(first, second)]
    if not any(cells for *_, cells in pairs):
        pairs = list(_pair_cells(first, second))
    compared = [
        ComparedTable(table.grid.title, _heading(first, table), _heading(second, counterpart), cells)
        for table, counterpart, cells in pairs
        if cells
    ]
    if not compared:
        raise UsageError(
            f"{first.name} and {second.name} have no cell in common: a dataset with its network, and a method. "
            f"{first.name} has {_list_names(first)}, and {second.name} {_list_names(second)}. "
            "Run asymbp report --to csv to see the cells"
        )
    return compared


def _list_names(side: Side) -> str:
    return list_some(list(dict.fromkeys(head_tables([filled.grid for filled in side.tables])))) or "none"


def _pair_tables(first: Side, second: Side) -> Iterator[tuple[FilledGrid, FilledGrid]]:
    """Yield the pairs, in the order of the first side."""
    theirs = {_table(filled): filled for filled in second.tables}
    same = theirs.keys() & set(map(_table, first.tables))
    ours_left, theirs_left = (
        [filled for filled in side.tables if _table(filled) not in same] for side in (first, second)
    )
    for filled in first.tables:
        if _table(filled) in same:
            yield filled, theirs[_table(filled)]
        elif counterpart := _find_counterpart(filled, ours_left, theirs_left):
            yield filled, counterpart
        elif candidates := _alike(filled, theirs_left, _key):
            several = (candidates, second) if len(candidates) > 1 else (_alike(filled, ours_left, _key), first)
            raise UsageError(_explain_choice(*several))


def _find_counterpart(
    filled: FilledGrid, ours: Sequence[FilledGrid], theirs: Sequence[FilledGrid]
) -> FilledGrid | None:
    """Return the only one of `theirs` that is like the table, if it is the only one of `ours` too."""
    for property_of in (_identity, _key_and_conditions, _key_and_protocol, _key):
        others = _alike(filled, theirs, property_of)
        if len(others) == len(_alike(filled, ours, property_of)) == 1:
            return others[0]
    return None


def name_choices(grids: Sequence[Grid]) -> list[str]:
    """Return a name for each table among those of its key: its protocol, and seeds or plugins if they differ."""
    conditions = [Conditions.of(grid)._replace(plugins=()) for grid in grids]  # which `versions` name
    versions = [name_version(grid, (other for other in grids if other.key == grid.key)) for grid in grids]
    return [
        ", ".join(filter(None, (own.describe_among(conditions), version)))
        for own, version in zip(conditions, versions, strict=True)
    ]


def _explain_choice(tables: Sequence[FilledGrid], side: Side) -> str:
    """Return the message that a side has several tables of one key, and how to name one of them."""
    grids = [filled.grid for filled in tables]
    name = head_tables(grids)[0]
    labels = list(dict.fromkeys(name_choices(grids)))
    titles = list(dict.fromkeys(grid.title for grid in grids))
    if len(labels) > 1:
        names = ", ".join(f'"{side.place}{label}"' for label in labels)
        return f"{side.name} has {name} under {'; '.join(labels)}. Name one of them: {names}"
    if len(titles) > 1:
        names = ", ".join(f'"{title}"' for title in titles)
        return f"{side.name} has several tables of one name, {names}. Name one of them with --table"
    return f"{side.name} has {len(grids)} tables {name} under {labels[0]}. Give their recipes other file names"


def _alike(
    filled: FilledGrid, tables: Sequence[FilledGrid], property_of: Callable[[FilledGrid], object]
) -> list[FilledGrid]:
    return [other for other in tables if property_of(other) == property_of(filled)]


def _identity(filled: FilledGrid) -> object:
    return grid_id(filled.grid)


def _table(filled: FilledGrid) -> object:
    return grid_id(filled.grid), filled.grid.title


def _key(filled: FilledGrid) -> object:
    return filled.grid.key


def _key_and_protocol(filled: FilledGrid) -> object:
    return filled.grid.key, filled.grid.protocol_label


def _key_and_conditions(filled: FilledGrid) -> object:
    return filled.grid.key, Conditions.of(filled.grid)


def _pair_cells(first: Side, second: Side) -> Iterator[tuple[FilledGrid, FilledGrid, tuple[ComparedCell, ...]]]:
    """Yield the cells of one method that tables of any names share, each once for the protocols of both sides."""
    seen = set[tuple[str, ...]]()
    for table, other in product(first.tables, second.tables):
        ours, theirs = ({column.header: _methods(column) for column in one.grid.columns} for one in (table, other))
        cells = {
            (table.grid.protocol_label, other.grid.protocol_label, cell.dataset, cell.column): cell
            for cell in _compare_cells(table, other)
            if ours[cell.column] == theirs[cell.column]
        }
        yield table, other, tuple(cell for key, cell in cells.items() if key not in seen)
        seen |= cells.keys()


def _methods(column: GridColumn) -> tuple[Method, ...]:
    return tuple(entry.method for entry in column.entries)


def _compare_cells(first: FilledGrid, second: FilledGrid) -> Iterator[ComparedCell]:
    second_cells = {key: cell for key, _, cell in _cells(second)}
    for key, names, cell in _cells(first):
        other = second_cells.get(key)
        if other is not None and cell.error_percent is not None and other.error_percent is not None:
            yield ComparedCell(*names, cell, other)


def list_comparison(table: ComparedTable) -> Listing:
    """Return a compared table for people."""
    rows = tuple(
        (cell.dataset, cell.column, format_error(cell.first), format_error(cell.second), f"{cell.points:+z.2f}")
        for cell in table.cells
    )
    header = ("dataset", "column", table.first, table.second, "difference, points")
    differences = [cell.points for cell in table.cells if cell.complete]
    return Listing(f"{table.title}: compared", header, rows, (_note(differences), _describe_errors(table.cells)))


def _describe_errors(cells: Sequence[ComparedCell]) -> str:
    errors = [hypot(cell.first.standard_error or 0.0, cell.second.standard_error or 0.0) for cell in cells]
    span = " to ".join(f"{error:.2f}" for error in sorted({round(end, 2) for end in (min(errors), max(errors))}))
    return f"Standard errors of the differences, by the numbers of test samples: {span} points."


def make_comparison_record(table: ComparedTable) -> dict[str, Any]:
    """Return a compared table for programs: errors are numbers, and names of fields do not depend on the sides."""
    return {
        "title": f"{table.title}: compared",
        "table": table.title,
        "first": table.first,
        "second": table.second,
        "rows": [_make_cell_record(cell) | _make_old_record(cell, table) for cell in table.cells],
    }


def _make_old_record(cell: ComparedCell, table: ComparedTable) -> dict[str, Any]:
    """Return the fields of version 1, which the next version does not have."""
    errors = (table.first, cell.first.error_percent), (table.second, cell.second.error_percent)
    return {name: round_value(error) for name, error in errors} | {"difference, points": round_value(cell.points)}


def _make_cell_record(cell: ComparedCell) -> dict[str, Any]:
    return {
        "dataset": cell.dataset,
        "column": cell.column,
        **_make_side_record("first", cell.first),
        **_make_side_record("second", cell.second),
        "difference_points": round_value(cell.points),
        "complete": cell.complete,
    }


def _make_side_record(side: str, cell: Cell) -> dict[str, Any]:
    return {
        f"{side}_percent": round_value(cell.error_percent),
        f"{side}_standard_error_points": round_value(cell.standard_error),
        f"{side}_seeds": len(cell.picks),
        f"{side}_complete": cell.complete,
        f"{side}_collapsed": cell.collapsed,
        f"{side}_runs_diverged": cell.diverged,
        f"{side}_run": cell.pick.run if cell.pick else None,
    }


def _heading(side: Side, filled: FilledGrid) -> str:
    return side.name if side.protocol else f"{side.name} ({filled.grid.protocol_label})"


def _cells(filled: FilledGrid) -> Iterator[tuple[tuple[object, ...], tuple[str, str], Cell]]:
    """Yield the cells: what makes them the same cell in another table, their names, and themselves."""
    for row, cells in zip(filled.grid.rows, filled.cells, strict=True):
        if row.dataset is None:
            continue
        for column, cell in zip(filled.grid.columns, cells, strict=True):
            names = row.label, column.header
            yield (row.dataset, row.network, column.header), names, cell


def _note(differences: Sequence[float]) -> str:
    if not differences:
        return "No cell is complete on both sides."
    sizes = [abs(difference) for difference in differences]
    return (
        f"Complete on both sides: {count(len(sizes), 'cell')}. The median difference is "
        f"{median(differences):+z.2f} points, the median of its size {median(sizes):.2f}, the largest "
        f"{max(sizes):.2f}. At most 1 point apart: {sum(round(size, 6) <= 1 for size in sizes)}."
    )
