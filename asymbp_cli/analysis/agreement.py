"""How close filled tables come to the paper's: differences in points, shares of cells, ranks of columns.

Only finished cells count that the paper has a number for. A dataset that is not the paper's own (a lossy copy,
a split of our own) is counted apart.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import correlation
from typing import NamedTuple

from asymbp_cli.analysis.tables import Cell, FilledGrid
from asymbp_cli.recipe.grid import Grid, GridRow

#: distances to the paper, in points, within which cells are counted; 3 is the paper's own yardstick (section 5)
WITHIN_POINTS = (1.0, 2.0, 3.0)
_FEWEST_COLUMNS = 4  # with fewer, an order says little


class Conditions(NamedTuple):
    """What tables must share for their cells to stand together."""

    protocol: str  # its label
    seeds: tuple[int, ...]

    def said_among(self, others: Iterable["Conditions"]) -> str:
        """Return the protocol, with the seeds where others differ in them only."""
        several = {other.seeds for other in others if other.protocol == self.protocol} - {self.seeds}
        return f"{self.protocol}, seeds {', '.join(map(str, self.seeds))}" if several else self.protocol


def conditions(grid: Grid) -> Conditions:
    """Return protocol and seeds of a table."""
    return Conditions(grid.protocol_label, grid.seeds)


@dataclass(frozen=True)
class Compared:
    """One of our cells beside the paper's."""

    key: tuple[str, str, "Conditions"]  # dataset, column of the paper: what makes two tables' cells the same cell
    row: GridRow
    cell: Cell
    has_colours: bool  # both compare with a baseline

    @property
    def points(self) -> float:
        """Return our error minus the paper's."""
        assert self.cell.error_percent is not None
        assert self.cell.paper is not None
        return self.cell.error_percent - self.cell.paper


@dataclass(frozen=True)
class Agreement:
    """Counts over cells: `same_colour` of `coloured`, and `within[i]` of `cells` at most WITHIN_POINTS[i] away."""

    cells: int
    within: tuple[int, ...]
    same_colour: int
    coloured: int

    @classmethod
    def of(cls, found: Sequence[Compared]) -> "Agreement":
        """Count `found`."""
        coloured = [one for one in found if one.has_colours]
        return cls(
            cells=len(found),
            within=tuple(sum(abs(round(one.points, 6)) <= limit for one in found) for limit in WITHIN_POINTS),
            same_colour=sum(one.cell.colour == one.cell.paper_colour for one in coloured),
            coloured=len(coloured),
        )


def compared(filled: FilledGrid) -> list[Compared]:
    """Return the finished cells of a table that the paper has a number for."""
    grid, found = filled.grid, []
    for row, cells, baseline in zip(grid.rows, filled.cells, filled.baselines, strict=True):
        has_colours = baseline is not None and baseline.complete and baseline.paper is not None
        for column, cell in zip(grid.columns, cells, strict=True):
            if cell.complete and cell.picks and cell.paper is not None and row.dataset:
                key = row.dataset, column.paper_name or "", conditions(grid)
                itself = grid.baseline is not None and column.paper_name == grid.baseline.paper_name
                found.append(Compared(key, row, cell, has_colours and not itself))
    return found


def distinct(found: Iterable[Compared]) -> list[Compared]:
    """Return each cell once that stands in several tables, with its colours where some table has them."""
    by_key: dict[tuple[str, str, Conditions], Compared] = {}
    for one in found:
        if one.key not in by_key or one.has_colours:
            by_key[one.key] = one
    return list(by_key.values())


def rank_correlation(ours: Sequence[float], papers: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation, None with fewer than four pairs or where one side is constant."""
    if len(ours) < _FEWEST_COLUMNS or len(set(ours)) == 1 or len(set(papers)) == 1:
        return None
    return max(-1.0, min(1.0, correlation(_ranks(ours), _ranks(papers))))  # rounding may pass 1


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value; equal ones share the mean of their ranks."""
    return [sum(other < value for other in values) + values.count(value) / 2 for value in values]


def row_correlations(filled: FilledGrid) -> dict[str, float | None]:
    """Return the rank correlation of each row's columns with the paper's, by the row's label."""
    rows: dict[str, tuple[list[float], list[float]]] = {}
    for one in compared(filled):
        ours, papers = rows.setdefault(one.row.label, ([], []))
        ours.append(one.cell.error_percent or 0.0)
        papers.append(one.cell.paper or 0.0)
    return {label: rank_correlation(ours, papers) for label, (ours, papers) in rows.items()}
