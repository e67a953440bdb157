"""Exact copies of one of the paper's datasets, in other orders: of several, one counts, or cells count twice."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import compress

from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.recipe.grid import GridRow
from asymbp_cli.specs.networks import Network

Copy = tuple[str, Network | None]  # the fingerprint, and the network on it


def find_copies(tables: Sequence[FilledGrid]) -> dict[str, list[Copy]]:
    """Return the copies of each row of the paper, by its name there: the one with the most complete cells first.

    `tables` share protocol and seeds. Data that is not the paper's own is no copy.
    """
    complete: Counter[tuple[str, Copy]] = Counter()
    for filled in tables:
        for row, cells in zip(filled.grid.rows, filled.cells, strict=True):
            if named := _name_copy(row):
                complete[named] += sum(cell.complete for cell in cells)
    found: dict[str, list[Copy]] = {}
    for (name, copy), count in complete.most_common():  # equal ones in the order of the tables
        if count:
            found.setdefault(name, []).append(copy)
    return found


def keep_one_copy(tables: Sequence[FilledGrid]) -> list[FilledGrid]:
    """Return the tables, which share protocol and seeds, without the rows of all copies but the first."""
    others = {(name, copy) for name, copies in find_copies(tables).items() for copy in copies[1:]}
    return [_select_rows(filled, [_name_copy(row) not in others for row in filled.grid.rows]) for filled in tables]


def _name_copy(row: GridRow) -> tuple[str, Copy] | None:
    """Return the name of the paper's row and the copy; None if the row does not hold the paper's data."""
    if row.paper_name is None or row.dataset is None or not row.exact:
        return None
    return row.paper_name, (row.dataset, row.network)


def _select_rows(filled: FilledGrid, selected: Sequence[bool]) -> FilledGrid:
    if all(selected):
        return filled
    grid, cells, baselines = filled.grid, filled.cells, filled.baselines
    return replace(
        filled,
        grid=grid.model_copy(update={"rows": tuple(compress(grid.rows, selected))}),
        cells=tuple(compress(cells, selected)),
        baselines=tuple(compress(baselines, selected)),
    )
