"""Two tables cell by cell: two stores, or two protocols of one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from asymbp_cli.analysis.agreement import Conditions
from asymbp_cli.analysis.cells import Cell
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.grid import grid_id
from asymbp_cli.report.cells import format_error
from asymbp_cli.report.document import Listing


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


def compare_sides(first: Side, second: Side) -> list[Listing]:
    """Return a listing for each table that both sides have, of every cell that both have.

    Tables that are the same are a pair. The others are paired by identity without the title, by key, protocol and
    seeds, by key and protocol, or by key: the first of these by which each side has only one. Raises UsageError if
    there is no pair, or if a pair is ambiguous.
    """
    listings = [
        _listing(table, _heading(first, table), counterpart, _heading(second, counterpart))
        for table, counterpart in _pair_tables(first, second)
    ]
    listings = [listing for listing in listings if listing.rows]
    if not listings:
        raise UsageError(
            f"{first.name} and {second.name} have no cell in common. "
            "Run asymbp report --to csv to see what each of them has"
        )
    return listings


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


def _explain_choice(tables: Sequence[FilledGrid], side: Side) -> str:
    """Return the message that a side has several tables of one key, and how to name one of them."""
    grids = [filled.grid for filled in tables]
    key = grids[0].key
    conditions = [Conditions.of(grid) for grid in grids]
    labels = list(dict.fromkeys(own.describe_among(conditions) for own in conditions))
    titles = list(dict.fromkeys(grid.title for grid in grids))
    if len(labels) > 1:
        names = ", ".join(f'"{side.place}{label}"' for label in labels)
        return f"{side.name} has {key} under {'; '.join(labels)}. Name one of them: {names}"
    if len(titles) > 1:
        names = ", ".join(f'"{title}"' for title in titles)
        return f"{side.name} has {key} with the titles {names}. Name one of them with --table"
    return f"{side.name} has {len(grids)} tables {key} under {labels[0]}. Give their recipes other file names"


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


def _listing(first: FilledGrid, first_heading: str, second: FilledGrid, second_heading: str) -> Listing:
    second_cells = {key: cell for key, _, cell in _cells(second)}
    rows, differences = [], []
    for key, names, cell in _cells(first):
        other = second_cells.get(key)
        if other is None or cell.error_percent is None or other.error_percent is None:
            continue
        difference = other.error_percent - cell.error_percent
        rows.append((*names, format_error(cell), format_error(other), f"{difference:+.2f}"))
        if cell.complete and other.complete:
            differences.append(difference)
    header = ("dataset", "column", first_heading, second_heading, "difference, points")
    return Listing(f"{first.grid.title}: compared", header, tuple(rows), (_note(differences),))


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
        f"{len(sizes)} cells are complete on both sides: the median difference is {median(differences):+.2f} "
        f"points, the median of its size {median(sizes):.2f}, the largest {max(sizes):.2f}; "
        f"{sum(round(size, 6) <= 1 for size in sizes)} are at most 1 point apart."
    )
