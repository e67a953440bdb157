"""Two tables cell by cell: two stores, or two protocols of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from asymbp_cli.analysis.agreement import conditions
from asymbp_cli.analysis.tables import Cell, FilledGrid
from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.grid import grid_id
from asymbp_cli.report.parts import Listing
from asymbp_cli.report.sheet import number


@dataclass(frozen=True)
class Side:
    """What is compared: its name as the user wrote it, and its tables."""

    name: str
    tables: tuple[FilledGrid, ...]


def comparison(first: Side, second: Side) -> list[Listing]:
    """Return a listing for each table that both sides have, of every cell that both have.

    Tables belong together by key, protocol and seeds, by key and protocol, or by key, as far as each side has
    only one such. Raises UsageError where none do, or where it is not clear which.
    """
    pairs = [(one, other) for one in first.tables if (other := _counterpart(one, first, second))]
    found = [_listing(first.name, one, second.name, other) for one, other in pairs]
    if not any(listing.rows for listing in found):
        raise UsageError(
            f"{first.name} and {second.name} have no cell in common; asymbp report --to csv shows what each has"
        )
    return [listing for listing in found if listing.rows]


def _counterpart(one: FilledGrid, first: Side, second: Side) -> FilledGrid | None:
    identity, key = grid_id(one.grid), one.grid.key
    for other in second.tables:
        if grid_id(other.grid) == identity:
            return other
    for like in (_key_and_conditions, _key_and_protocol, _key):
        mine = [filled for filled in first.tables if like(filled) == like(one)]
        others = [filled for filled in second.tables if like(filled) == like(one)]
        if len(mine) == len(others) == 1:
            return others[0]
    if not any(_key(filled) == key for filled in second.tables):
        return None
    known = [conditions(filled.grid) for filled in second.tables if filled.grid.key == key]
    labels = ", ".join(dict.fromkeys(found.said_among(known) for found in known))
    raise UsageError(
        f'{second.name} has {key} under {labels}; name one of them ("{second.name}:PROTOCOL"), or the table with '
        "--table"
    )


def _key(filled: FilledGrid) -> object:
    return filled.grid.key


def _key_and_protocol(filled: FilledGrid) -> object:
    return filled.grid.key, filled.grid.protocol_label


def _key_and_conditions(filled: FilledGrid) -> object:
    return filled.grid.key, conditions(filled.grid)


def _listing(first: str, one: FilledGrid, second: str, other: FilledGrid) -> Listing:
    theirs = dict(_cells(other))
    rows, differences = [], []
    for at, cell in _cells(one):
        beside = theirs.get(at)
        if beside is None or cell.error_percent is None or beside.error_percent is None:
            continue
        difference = beside.error_percent - cell.error_percent
        rows.append((*at[2:], number(cell), number(beside), f"{difference:+.2f}"))
        if cell.complete and beside.complete:
            differences.append(difference)
    header = ("dataset", "column", _heading(first, one), _heading(second, other), "difference, points")
    return Listing(f"{one.grid.title}: compared", header, tuple(rows), _notes(differences))


def _heading(name: str, filled: FilledGrid) -> str:
    label = filled.grid.protocol_label
    return name if name.endswith(label) else f"{name} ({label})"


def _cells(filled: FilledGrid) -> list[tuple[tuple[str, object, str, str], Cell]]:
    """Return the cells by (dataset's fingerprint, network, dataset's label, header)."""
    return [
        ((row.dataset, row.network, row.label, column.header), cell)
        for row, cells in zip(filled.grid.rows, filled.cells, strict=True)
        for column, cell in zip(filled.grid.columns, cells, strict=True)
        if row.dataset
    ]


def _notes(differences: Sequence[float]) -> tuple[str, ...]:
    if not differences:
        return ("No cell is finished on both sides.",)
    sizes = [abs(difference) for difference in differences]
    return (
        f"{len(sizes)} cells are finished on both sides: the median difference is {median(differences):+.2f} "
        f"points, the median of its size {median(sizes):.2f}, the largest {max(sizes):.2f}; "
        f"{sum(round(size, 6) <= 1 for size in sizes)} are at most 1 point apart.",
    )
