"""The neutral form of a table: what every renderer (terminal, markdown, csv) prints, decided once."""

from collections.abc import Sequence
from dataclasses import dataclass

from asymbp_cli.analysis.tables import Cell, Colour, FilledGrid


@dataclass(frozen=True)
class Sheet:
    """A title, a header, rows of cells (ours over the paper's), and notes below."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]  # (row label, cells)
    notes: tuple[str, ...]
    has_paper: bool


def sheet(filled: FilledGrid) -> Sheet:
    """Return a filled grid as a sheet."""
    grid = filled.grid
    rows = tuple((row.label, cells) for row, cells in zip(grid.rows, filled.cells, strict=True))
    cells = [cell for _, cells in rows for cell in cells]
    return Sheet(grid.title, tuple(c.header for c in grid.columns), rows, notes(filled), _has_paper(cells))


def _has_paper(cells: Sequence[Cell]) -> bool:
    return any(cell.paper is not None for cell in cells)


def number(cell: Cell) -> str:
    """Return the cell's error with its marks: `*` diverged runs, `=` one class for everything, `~` unfinished."""
    if cell.error_percent is None:
        return "-"
    marks = ("=" if cell.collapsed else "") + ("*" if cell.diverged else "") + ("" if cell.complete else "~")
    return f"{cell.error_percent:.2f}{marks}"


def spread(cell: Cell) -> str:
    """Return the lowest and the highest error among seeds, `0.94-1.21`; nothing for a single seed."""
    return "{:.2f}-{:.2f}".format(*cell.range_percent) if cell.range_percent else ""


def is_best(cell: Cell, cells: Sequence[Cell]) -> bool:
    """Tell whether no other cell of the row has a lower error."""
    errors = [other.error_percent for other in cells if other.error_percent is not None]
    return bool(errors) and cell.error_percent == min(errors)


def digits_and_marks(cell: Cell) -> tuple[str, str]:
    """Split a cell's number from its marks, which hang outside a column so that digits stay aligned."""
    text = number(cell)
    digits = text.rstrip("=*~")
    return digits, text.removeprefix(digits)


def most_marks(sheet: Sheet) -> int:
    """Return how many marks the most marked cell of a sheet has."""
    return max((len(digits_and_marks(cell)[1]) for _, cells in sheet.rows for cell in cells), default=0)


def colours(sheet: Sheet) -> set[Colour | None]:
    """Return the colours in use, the paper's own included; None stands for none."""
    return {colour for _, cells in sheet.rows for cell in cells for colour in (cell.colour, cell.paper_colour)}


def notes(filled: FilledGrid) -> tuple[str, ...]:
    """Return the footnotes that this table's cells need, and no others."""
    grid, cells = filled.grid, [cell for row in filled.cells for cell in row]
    rule = (
        "Test error in percent where the validation error is lowest over all epochs of all runs of a cell"
        if grid.validation_fraction
        else "Test error in percent: the lowest over all epochs of all runs of a cell (the paper's rule, "
        "which picks on the test set)"
    )
    found = [f"{rule}. Protocol: {grid.protocol_label}; seeds: {', '.join(map(str, grid.seeds))}."]
    if len(grid.seeds) > 1:
        fewest = min((len(cell.picks) for cell in cells if cell.wanted), default=len(grid.seeds))
        seeds = f"{len(grid.seeds)}" if fewest == len(grid.seeds) else f"{fewest} to {len(grid.seeds)}"
        found.append(f"Each cell is the median over n = {seeds} seeds, with its lowest and highest value.")
    if _has_paper(cells) and grid.protocol_label != "paper":
        found.append(
            f"The paper's numbers come from its own protocol of 65 epochs, ours from {grid.protocol_label}."
        )
    if grid.baseline and any(cell.colour or cell.paper_colour for cell in cells):
        shown = any(column.header == grid.baseline.header for column in grid.columns)
        where = "" if shown else " (trained for this comparison, no column here)"
        found.append(
            f"Yellow: worse than {grid.baseline.header}{where} on the same data by 3 points or more; blue: better "
            "by 3 or more."
        )
    if any(cell.collapsed for cell in cells):
        found.append("`=` collapsed: the best epoch answers every test sample with one class.")
    if diverged := [cell for cell in cells if cell.diverged]:
        count, total = sum(c.diverged for c in diverged), sum(c.ended for c in cells)
        found.append(f"`*` some runs diverged ({count} of {total} in this table) and count as the first class.")
    if any(cell.wanted and not cell.complete for cell in cells):
        done, wanted = sum(c.ended for c in cells), sum(c.wanted for c in cells)
        found.append(
            f"`~` unfinished, `-` not run yet: {done} of {wanted} runs are done; the same command goes on."
        )
    if missing := [row.label for row in grid.rows if row.dataset is None]:
        found.append(f"`-` dataset not here: {', '.join(missing)} (asymbp ls datasets).")
    found += [f"{column.header}: {column.note}." for column in grid.columns if column.note]
    found += [f"{row.label}: {row.note}." for row in grid.rows if row.note]
    return tuple(found)
