"""A grid joined with stored runs -> cells, coloured by the paper's rule, the paper's number beside each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from asymbp_cli.events import EpochEnded
from asymbp_cli.plan import Grid, GridColumn, GridRow

Colour = Literal["worse", "better"]
_POINTS = 3.0  # section 5: yellow is worse than SGD by 3 points or more, blue better by 3 or more


@dataclass(frozen=True)
class Cell:
    """One number of a table. `wrong` of `seen` test samples, at `epoch` of the run that the rule selects.

    Without any epoch yet, `wrong` is None and `reason` says why.
    """

    wrong: int | None = None
    seen: int = 0
    run: str = ""
    epoch: int = 0
    rate_multiplier: float = 0.0
    ended: int = 0  # runs that are done
    wanted: int = 0  # runs that the cell takes
    diverged: int = 0  # of the runs that are done
    collapsed: bool = False  # the selected epoch answers everything with one class
    paper: float | None = None  # the paper's error, percent
    colour: Colour | None = None  # against this row's baseline
    paper_colour: Colour | None = None
    reason: str = ""

    @property
    def error_percent(self) -> float | None:
        """Return the test error in percent."""
        return None if self.wrong is None else 100 * self.wrong / self.seen

    @property
    def complete(self) -> bool:
        """Tell whether all runs of the cell are done."""
        return self.wanted > 0 and self.ended == self.wanted


@dataclass(frozen=True)
class FilledGrid:
    """A grid with its cells, row by row in the grid's order."""

    grid: Grid
    cells: tuple[tuple[Cell, ...], ...]

    @property
    def complete(self) -> bool:
        """Tell whether every run of every cell is done."""
        return all(cell.complete for row in self.cells for cell in row)


Epochs = Mapping[str, Sequence[EpochEnded]]
States = Mapping[str, str]


def fill(grid: Grid, epochs: Epochs, states: States, paper: Mapping[tuple[str, str], float]) -> FilledGrid:
    """Return the grid's cells from stored epochs and run states, both by run id.

    `paper` holds the published errors in percent by (row name in the paper, header).
    """
    rows = []
    for row in grid.rows:
        cells = [select(grid, row, column, epochs, states) for column in grid.columns]
        baseline = select(grid, row, grid.baseline, epochs, states) if grid.baseline else None
        published = [paper.get((row.paper_name or "", column.header)) for column in grid.columns]
        reference = paper.get((row.paper_name or "", grid.baseline.header)) if grid.baseline else None
        rows.append(
            tuple(
                _coloured(cell, baseline, value, reference) for cell, value in zip(cells, published, strict=True)
            )
        )
    return FilledGrid(grid, tuple(rows))


def select(grid: Grid, row: GridRow, column: GridColumn, epochs: Epochs, states: States) -> Cell:
    """Return the cell of one row and column by the protocol's rule.

    The paper's (section 5): the lowest test error over all epochs of all its runs; earliest and largest rate
    first among equals. With a held-out part of the training set the lowest validation error decides, and the
    test error at that point is reported.
    """
    runs = grid.runs(row, column)
    done = [run for run in runs if states.get(run.id) in ("finished", "collapsed", "diverged")]
    points = [(point, run) for run in runs for point in epochs.get(run.id, ())]
    if not points:
        return Cell(wanted=len(runs), ended=len(done), reason="not run yet")
    point, run = min(points, key=lambda pair: (_criterion(pair[0]), -pair[1].rate_multiplier, pair[0].epoch))
    return Cell(
        wrong=point.test_wrong,
        seen=point.test_seen,
        run=run.id,
        epoch=point.epoch,
        rate_multiplier=run.rate_multiplier,
        ended=len(done),
        wanted=len(runs),
        diverged=sum(states.get(run.id) == "diverged" for run in runs),
        collapsed=point.one_class,
    )


def _criterion(point: EpochEnded) -> float:
    if point.validation_wrong is not None and point.validation_seen:
        return point.validation_wrong / point.validation_seen
    return point.test_wrong / point.test_seen


def colour(error: float | None, baseline: float | None) -> Colour | None:
    """Return how an error (percent) stands against the baseline's by the 3-point rule."""
    if error is None or baseline is None:
        return None
    difference = round(error - baseline, 6)
    return "worse" if difference >= _POINTS else "better" if difference <= -_POINTS else None


def _coloured(cell: Cell, baseline: Cell | None, paper: float | None, reference: float | None) -> Cell:
    own = colour(cell.error_percent, baseline.error_percent if baseline else None)
    return replace(cell, paper=paper, colour=own, paper_colour=colour(paper, reference))
