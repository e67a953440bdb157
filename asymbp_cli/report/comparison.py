"""Two tables cell by cell: two stores, or two protocols of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from asymbp_cli.errors import UsageError
from asymbp_cli.report.parts import Listing
from asymbp_cli.report.sheet import number
from asymbp_cli.tables import Cell, FilledGrid


@dataclass(frozen=True)
class Side:
    """What is compared: its name as the user wrote it, and its tables."""

    name: str
    tables: tuple[FilledGrid, ...]


def comparison(first: Side, second: Side) -> list[Listing]:
    """Return a listing for each table that both sides have, of every cell that both have.

    Tables belong together by key and protocol, or by key where each side has one only. Raises UsageError where
    none do, or where it is not clear which.
    """
    pairs = [(one, other) for one in first.tables if (other := _counterpart(one, first, second))]
    found = [_listing(first.name, one, second.name, other) for one, other in pairs]
    if not any(listing.rows for listing in found):
        raise UsageError(
            f"{first.name} and {second.name} have no cell in common; asymbp report --to csv shows what each has"
        )
    return [listing for listing in found if listing.rows]


def _counterpart(one: FilledGrid, first: Side, second: Side) -> FilledGrid | None:
    key, label = one.grid.key, one.grid.protocol_label
    others = [other for other in second.tables if other.grid.key == key]
    same = [other for other in others if other.grid.protocol_label == label]
    if same or not others:
        return same[-1] if same else None
    if len(others) > 1 or sum(mine.grid.key == key for mine in first.tables) > 1:
        labels = ", ".join(dict.fromkeys(other.grid.protocol_label for other in others))
        raise UsageError(f'{second.name} has {key} under {labels}; name one of them: "{second.name}:PROTOCOL"')
    return others[0]


def _listing(first: str, one: FilledGrid, second: str, other: FilledGrid) -> Listing:
    theirs = dict(_cells(other))
    rows, differences = [], []
    for at, cell in _cells(one):
        beside = theirs.get(at)
        if beside is None or cell.error_percent is None or beside.error_percent is None:
            continue
        difference = beside.error_percent - cell.error_percent
        rows.append((*at[1:], number(cell), number(beside), f"{difference:+.2f}"))
        if cell.complete and beside.complete:
            differences.append(difference)
    header = ("dataset", "column", _heading(first, one), _heading(second, other), "difference, points")
    return Listing(f"{one.grid.title}: compared", header, tuple(rows), _notes(differences))


def _heading(name: str, filled: FilledGrid) -> str:
    label = filled.grid.protocol_label
    return name if name.endswith(label) else f"{name} ({label})"


def _cells(filled: FilledGrid) -> list[tuple[tuple[str, str, str], Cell]]:
    """Return the cells by (dataset's fingerprint, its label, header)."""
    return [
        ((row.dataset, row.label, column.header), cell)
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
