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
    """One side of a comparison: its name as the user wrote it, and its tables."""

    name: str
    tables: tuple[FilledGrid, ...]


def compare_sides(first: Side, second: Side) -> list[Listing]:
    """Return a listing for each table that both sides have, of every cell that both have.

    Tables are paired by key, protocol and seeds, by key and protocol, or by key: the first of these by which each
    side has only one. Raises UsageError if there is no pair, or if a pair is ambiguous.
    """
    listings = []
    for table in first.tables:
        if counterpart := _counterpart(table, first, second):
            listings.append(_listing(first.name, table, second.name, counterpart))
    listings = [listing for listing in listings if listing.rows]
    if not listings:
        raise UsageError(
            f"{first.name} and {second.name} have no cell in common. "
            "Run asymbp report --to csv to see what each of them has"
        )
    return listings


def _counterpart(table: FilledGrid, first: Side, second: Side) -> FilledGrid | None:
    """Return the table of the second side to compare `table` with, or None if it has none of that key."""
    identity, key = grid_id(table.grid), table.grid.key
    for other in second.tables:
        if grid_id(other.grid) == identity:
            return other
    for property_of in (_key_and_conditions, _key_and_protocol, _key):
        ours = _alike(table, first, property_of)
        others = _alike(table, second, property_of)
        if len(ours) == len(others) == 1:
            return others[0]
    candidates = [Conditions.of(filled.grid) for filled in second.tables if filled.grid.key == key]
    if not candidates:
        return None
    labels = ", ".join(dict.fromkeys(candidate.describe_among(candidates) for candidate in candidates))
    raise UsageError(
        f'{second.name} has {key} under {labels}. Name one of them ("{second.name}:PROTOCOL"), or the table with '
        "--table"
    )


def _alike(table: FilledGrid, side: Side, property_of: Callable[[FilledGrid], object]) -> list[FilledGrid]:
    return [filled for filled in side.tables if property_of(filled) == property_of(table)]


def _key(filled: FilledGrid) -> object:
    return filled.grid.key


def _key_and_protocol(filled: FilledGrid) -> object:
    return filled.grid.key, filled.grid.protocol_label


def _key_and_conditions(filled: FilledGrid) -> object:
    return filled.grid.key, Conditions.of(filled.grid)


def _listing(first_name: str, first: FilledGrid, second_name: str, second: FilledGrid) -> Listing:
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
    headings = _heading(first_name, first), _heading(second_name, second)
    header = ("dataset", "column", *headings, "difference, points")
    return Listing(f"{first.grid.title}: compared", header, tuple(rows), (_note(differences),))


def _heading(name: str, filled: FilledGrid) -> str:
    label = filled.grid.protocol_label
    return name if name.endswith(label) else f"{name} ({label})"


def _cells(filled: FilledGrid) -> Iterator[tuple[tuple[object, ...], tuple[str, str], Cell]]:
    """Yield the cells: what makes them the same cell in another table, their names, and themselves."""
    for row, cells in zip(filled.grid.rows, filled.cells, strict=True):
        if row.dataset is None:
            continue
        for column, cell in zip(filled.grid.columns, cells, strict=True):
            names = row.label, column.header
            yield (row.dataset, row.network, *names), names, cell


def _note(differences: Sequence[float]) -> str:
    if not differences:
        return "No cell is complete on both sides."
    sizes = [abs(difference) for difference in differences]
    return (
        f"{len(sizes)} cells are complete on both sides: the median difference is {median(differences):+.2f} "
        f"points, the median of its size {median(sizes):.2f}, the largest {max(sizes):.2f}; "
        f"{sum(round(size, 6) <= 1 for size in sizes)} are at most 1 point apart."
    )
