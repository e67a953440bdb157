"""A table of results in neutral form: what every renderer prints, decided once."""

from dataclasses import dataclass

from asymbp_cli.analysis.cells import Cell, Colour
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.report.cells import has_paper, split_marks
from asymbp_cli.report.footnotes import write_footnotes

_MEANINGS = {"=": "collapsed: one answer for everything", "*": "some runs diverged", "~": "unfinished"}


@dataclass(frozen=True)
class ResultTable:
    """A title, a header, rows of cells (ours above the paper's), and notes below."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]  # (row label, cells)
    notes: tuple[str, ...]

    @property
    def cells(self) -> list[Cell]:
        """Return all cells, row by row."""
        return [cell for _, cells in self.rows for cell in cells]

    @property
    def has_paper(self) -> bool:
        """Return whether the paper has a number for any cell."""
        return has_paper(self.cells)

    @property
    def has_hollow(self) -> bool:
        """Return whether the colour of any cell, ours or the paper's, rests on less than two standard errors."""
        return any(cell.hollow or cell.paper_hollow for cell in self.cells)

    @property
    def marks(self) -> tuple[tuple[str, str], ...]:
        """Return the marks in use, each with its meaning."""
        used = "".join(split_marks(cell)[1] for cell in self.cells)
        return tuple((mark, meaning) for mark, meaning in _MEANINGS.items() if mark in used)

    @property
    def most_marks(self) -> int:
        """Return the number of marks of the most marked cell."""
        return max((len(split_marks(cell)[1]) for cell in self.cells), default=0)

    @property
    def colours(self) -> set[Colour | None]:
        """Return the colours in use, the paper's own included; None stands for no colour."""
        return {colour for cell in self.cells for colour in (cell.colour, cell.paper_colour)}


def make_result_table(filled: FilledGrid) -> ResultTable:
    """Return a filled grid as a table of results."""
    grid = filled.grid
    rows = tuple((row.label, cells) for row, cells in zip(grid.rows, filled.cells, strict=True))
    return ResultTable(
        title=grid.title,
        header=tuple(column.header for column in grid.columns),
        rows=rows,
        notes=write_footnotes(filled),
    )
