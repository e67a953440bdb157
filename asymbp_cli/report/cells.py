"""How a cell is written, alike in every format."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asymbp_cli.analysis.cells import Cell, Colour

#: for pipes, NO_COLOR and readers who see no colours: full, and hollow
SIGNS: dict[Colour, tuple[str, str]] = {"worse": ("▲", "△"), "better": ("▼", "▽")}


def sign_of(colour: Colour | None, *, hollow: bool) -> str:
    """Return the sign of a colour; hollow if the colour rests on less than two standard errors."""
    return SIGNS[colour][hollow] if colour else ""


def format_error(cell: Cell) -> str:
    """Return the cell's error with its marks: `=` one class for everything, `*` diverged runs, `~` unfinished."""
    if cell.error_percent is None:
        return "-"
    return f"{cell.error_percent:.2f}{_marks(cell)}"


def _marks(cell: Cell) -> str:
    marks = ""
    if cell.collapsed:
        marks += "="
    if cell.diverged:
        marks += "*"
    if not cell.complete:
        marks += "~"
    return marks


def split_marks(cell: Cell) -> tuple[str, str]:
    """Return a cell's number and its marks, which hang outside a column so that digits stay aligned."""
    text = format_error(cell)
    digits = text.rstrip("=*~")
    return digits, text.removeprefix(digits)


def format_range(cell: Cell) -> str:
    """Return the lowest and the highest error over seeds, `0.94-1.21`; nothing for a single seed."""
    if cell.range_percent is None:
        return ""
    lowest, highest = cell.range_percent
    return f"{lowest:.2f}-{highest:.2f}"


def is_best(cell: Cell, cells: Sequence[Cell]) -> bool:
    """Return whether a cell is finished, and no other finished cell of the row has a lower error."""
    errors = [other.error_percent for other in cells if other.complete and other.error_percent is not None]
    return cell.complete and bool(errors) and cell.error_percent == min(errors)


def has_paper(cells: Iterable[Cell]) -> bool:
    """Return whether the paper has a number for any of the cells."""
    return any(cell.paper is not None for cell in cells)


@dataclass(frozen=True)
class Detail:
    """A muted line below the cells of a row: its name, and a text per cell; `beside` ours or below the paper's."""

    name: str
    texts: tuple[str, ...]
    beside: bool = False


def list_details(cells: Sequence[Cell]) -> list[Detail]:
    """Return the further lines of a row: standard errors, errors of the last epoch, and of the held-out rule."""
    sure = [cell.standard_error for cell in cells]
    last = [cell.last_percent for cell in cells]
    changes = [cell.rule_difference for cell in cells]
    details = (
        Detail("std. error", tuple("-" if error is None else f"±{error:.2f}" for error in sure), beside=True),
        Detail("last epoch", tuple("-" if error is None else f"{error:.2f}" for error in last)),
        Detail("held-out rule", tuple("-" if points is None else f"{points:+z.2f}" for points in changes)),
    )
    return [detail for detail in details if any(text != "-" for text in detail.texts)]
