"""How close filled tables come to the paper's: differences in points, shares of cells, ranks of columns.

A cell counts if it is complete and the paper has a number for it. A dataset that is not the paper's own (a lossy
copy, our own split) is counted separately.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import correlation
from typing import NamedTuple

from asymbp_cli.analysis.cells import Cell
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.recipe.grid import Grid, GridRow
from asymbp_cli.recipe.labels import name_hashes
from asymbp_cli.specs.references import is_reference

#: distances to the paper, in points, within which cells are counted; 3 is the paper's own yardstick (section 5)
WITHIN_POINTS = (1.0, 2.0, 3.0)
_FEWEST_COLUMNS = 4  # with fewer, an order says little


class Conditions(NamedTuple):
    """What two tables must share if their cells are to be compared."""

    protocol: str  # its label
    seeds: tuple[int, ...]
    plugins: tuple[str, ...] = ()  # what the protocol uses of them, by version: a label does not say which

    @classmethod
    def of(cls, grid: Grid) -> "Conditions":
        """Return protocol and seeds of a grid."""
        return cls(grid.protocol_label, grid.seeds, tuple(filter(is_reference, grid.protocol.names)))

    def describe_among(self, others: Iterable["Conditions"]) -> str:
        """Return the protocol, followed by seeds and versions of plugins in which `others` of its label differ."""
        alike = [other for other in others if other.protocol == self.protocol]
        parts = [self.protocol]
        if {other.seeds for other in alike} - {self.seeds}:
            parts.append(f"seeds {', '.join(map(str, self.seeds))}")
        if {other.plugins for other in alike} - {self.plugins}:
            parts.append(name_hashes(self.plugins))
        return ", ".join(parts)


@dataclass(frozen=True)
class CellPair:
    """One of our cells, which holds the paper's number as well."""

    key: tuple[str, str, Conditions]  # dataset and the paper's column: two tables with one key share this cell
    row: GridRow
    cell: Cell
    has_colours: bool  # both sides have a baseline to compare with
    is_of_paper: bool  # its table is one of the paper's, and no recipe with a column of this name

    @property
    def has_same_colour(self) -> bool:
        """Return whether both sides have the same colour, or none."""
        return self.cell.colour == self.cell.paper_colour

    @property
    def is_hollow(self) -> bool:
        """Return whether the colour of either side rests on less than two standard errors."""
        return self.cell.hollow or self.cell.paper_hollow

    @property
    def points(self) -> float:
        """Return our error minus the paper's."""
        assert self.cell.error_percent is not None
        assert self.cell.paper is not None
        return self.cell.error_percent - self.cell.paper


@dataclass(frozen=True)
class Agreement:
    """Counts over cells: `same_colour` of `coloured`, and `within[i]` of `cells` at most WITHIN_POINTS[i] away.

    Cells of which one side has a hollow colour, of less than two standard errors, are counted apart.
    """

    cells: int
    within: tuple[int, ...]
    same_colour: int
    coloured: int
    same_hollow: int = 0
    hollow: int = 0

    @classmethod
    def of(cls, pairs: Sequence[CellPair]) -> "Agreement":
        """Count `pairs`."""
        distances = [abs(round(pair.points, 6)) for pair in pairs]
        hollow = [pair for pair in pairs if pair.has_colours and pair.is_hollow]
        coloured = [pair for pair in pairs if pair.has_colours and not pair.is_hollow]
        return cls(
            cells=len(pairs),
            within=tuple(sum(distance <= limit for distance in distances) for limit in WITHIN_POINTS),
            same_colour=sum(pair.has_same_colour for pair in coloured),
            coloured=len(coloured),
            same_hollow=sum(pair.has_same_colour for pair in hollow),
            hollow=len(hollow),
        )


def group_tables(tables: Iterable[FilledGrid]) -> dict[Conditions, list[FilledGrid]]:
    """Return the tables by their conditions: cells of different groups are never counted together."""
    groups: dict[Conditions, list[FilledGrid]] = {}
    for filled in tables:
        groups.setdefault(Conditions.of(filled.grid), []).append(filled)
    return groups


def pair_cells(filled: FilledGrid) -> list[CellPair]:
    """Return the complete cells of a table that the paper has a number for."""
    grid, pairs = filled.grid, []
    for row, cells, baseline in zip(grid.rows, filled.cells, filled.baselines, strict=True):
        has_colours = baseline is not None and baseline.complete and baseline.paper is not None
        for column, cell in zip(grid.columns, cells, strict=True):
            if cell.complete and cell.picks and cell.paper is not None and row.dataset:
                key = row.dataset, column.paper_name or "", Conditions.of(grid)
                is_baseline = grid.baseline is not None and column.paper_name == grid.baseline.paper_name
                is_compared = grid.is_comparable(column) and not is_baseline
                pairs.append(CellPair(key, row, cell, has_colours and is_compared, grid.is_of_paper))
    return pairs


def deduplicate(pairs: Iterable[CellPair]) -> list[CellPair]:
    """Return every cell once, even if several tables share it.

    That of a table of the paper goes first: a recipe may train a column of this name otherwise. Then one with
    colours does.
    """
    by_key: dict[tuple[str, str, Conditions], CellPair] = {}
    for pair in pairs:
        known = by_key.get(pair.key, pair)
        if (pair.is_of_paper, pair.has_colours) >= (known.is_of_paper, known.has_colours):
            by_key[pair.key] = pair
    return list(by_key.values())


def rank_correlation(ours: Sequence[float], papers: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation; None with fewer than four pairs, or if one side is constant."""
    if len(ours) < _FEWEST_COLUMNS or len(set(ours)) == 1 or len(set(papers)) == 1:
        return None
    return max(-1.0, min(1.0, correlation(_ranks(ours), _ranks(papers))))  # rounding may pass 1


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value; equal ones share the mean of their ranks."""
    return [sum(other < value for other in values) + values.count(value) / 2 for value in values]


def correlate_rows(filled: FilledGrid) -> dict[str, float | None]:
    """Return the rank correlation of each row's columns with the paper's, by the row's label."""
    rows: dict[str, tuple[list[float], list[float]]] = {}
    for pair in pair_cells(filled):
        ours, papers = rows.setdefault(pair.row.label, ([], []))
        ours.append(pair.cell.error_percent or 0.0)
        papers.append(pair.cell.paper or 0.0)
    return {label: rank_correlation(ours, papers) for label, (ours, papers) in rows.items()}
