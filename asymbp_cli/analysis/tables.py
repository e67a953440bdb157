"""Grids filled with stored runs: cells, coloured by the paper's rule, each with the paper's number."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from asymbp_cli.errors import UsageError
from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.grid import Grid, GridColumn, GridRow
from asymbp_cli.recipe.table import load_published
from asymbp_cli.results.store import Store
from asymbp_cli.specs.runs import Run
from asymbp_cli.text import nearest

Colour = Literal["worse", "better"]
POINTS = 3.0  # section 5: yellow is worse than SGD by 3 points or more, blue better by 3 or more


@dataclass(frozen=True)
class Pick:
    """The epoch that the rule selects among all runs of one seed: `wrong` of `seen` test samples."""

    seed: int
    run: str
    rate_multiplier: float
    epoch: int
    wrong: int
    seen: int
    collapsed: bool  # this epoch answers everything with one class

    @property
    def error_percent(self) -> float:
        """Return the test error in percent."""
        return 100 * self.wrong / self.seen


@dataclass(frozen=True)
class Cell:
    """One number of a table: the median over seeds of what the rule selects for each seed.

    Without any stored epoch there are no picks, and `reason` says why.
    """

    picks: tuple[Pick, ...] = ()  # one per seed, best first
    ended: int = 0  # finished runs, diverged ones included
    wanted: int = 0  # runs that the cell needs
    diverged: int = 0  # of the finished runs
    paper: float | None = None  # the paper's error in percent
    colour: Colour | None = None  # against this row's baseline
    paper_colour: Colour | None = None
    reason: str = ""

    @property
    def error_percent(self) -> float | None:
        """Return the test error in percent: with several seeds, their median."""
        return median(pick.error_percent for pick in self.picks) if self.picks else None

    @property
    def range_percent(self) -> tuple[float, float] | None:
        """Return the lowest and the highest error over seeds; None with fewer than two."""
        if len(self.picks) < 2:
            return None
        return self.picks[0].error_percent, self.picks[-1].error_percent

    @property
    def pick(self) -> Pick | None:
        """Return the pick of the median seed; if two are in the middle, the better one."""
        return self.picks[(len(self.picks) - 1) // 2] if self.picks else None

    @property
    def collapsed(self) -> bool:
        """Return whether the selected epoch of the median seed answers everything with one class."""
        return self.pick is not None and self.pick.collapsed

    @property
    def complete(self) -> bool:
        """Return whether all runs of the cell have finished."""
        return self.wanted > 0 and self.ended == self.wanted


@dataclass(frozen=True)
class FilledGrid:
    """A grid with its cells, row by row in the grid's order, and the baseline's cell of each row."""

    grid: Grid
    cells: tuple[tuple[Cell, ...], ...]
    baselines: tuple[Cell | None, ...]


Epochs = Mapping[str, Sequence[EpochEnded]]
States = Mapping[str, str]


def filter_grids(grids: Sequence[Grid], keys: Sequence[str]) -> list[Grid]:
    """Return the grids that `keys` name (`2`, `4` for both halves, a recipe's name), or all of them without keys.

    Raises UsageError if there are no grids, or none for one of the keys.
    """
    if not grids:
        raise UsageError("no results yet. Run asymbp reproduce --table 2 first")
    names = list(dict.fromkeys(grid.key for grid in grids))
    for key in keys:
        if not any(_matches(name, key) for name in names):
            hint = nearest(key, [name.partition("-")[2] for name in names])
            raise UsageError(f'no results for table "{key}".{hint} Available: {", ".join(names)}')
    return [grid for grid in grids if not keys or any(_matches(grid.key, key) for key in keys)]


def _matches(name: str, key: str) -> bool:
    """Return whether `key`, as a user writes it, names the grid `name`."""
    return name in (key, f"table-{key}", f"recipe-{key}") or name.startswith(f"table-{key}-")


def fill_all(store: Store, grids: Iterable[Grid]) -> list[FilledGrid]:
    """Return the grids filled with the stored results and the paper's numbers."""
    grids = list(grids)
    states, epochs = store.states(), store.selected({run for grid in grids for run in grid.all_runs()})
    return [fill_grid(grid, epochs, states, load_published()) for grid in grids]


def fill_grid(grid: Grid, epochs: Epochs, states: States, paper: Mapping[tuple[str, str], float]) -> FilledGrid:
    """Return the grid's cells from stored epochs and run states, both by run id.

    `paper` holds the published errors in percent by (row name in the paper, name of the method).
    """

    def fill_cell(row: GridRow, column: GridColumn) -> Cell:
        published_error = paper.get((row.paper_name or "", column.paper_name or ""))
        return replace(select_cell(grid, row, column, epochs, states), paper=published_error)

    baselines = [fill_cell(row, grid.baseline) if grid.baseline else None for row in grid.rows]
    cells = tuple(
        tuple(_with_colours(fill_cell(row, column), baseline) for column in grid.columns)
        for row, baseline in zip(grid.rows, baselines, strict=True)
    )
    return FilledGrid(grid, cells, tuple(baselines))


def select_cell(grid: Grid, row: GridRow, column: GridColumn, epochs: Epochs, states: States) -> Cell:
    """Return the cell of one row and column by the protocol's rule.

    The paper's rule (section 5) takes the lowest test error over all epochs of all runs. Ties go to the largest
    rate, then to the earliest epoch. With a held-out part of the training set the lowest validation error decides,
    and the cell reports the test error at that point. Each seed is a repetition of the whole experiment.
    """
    runs = grid.runs(row, column)
    ended = [states[run.id] for run in runs if run.id in states]
    picks = [pick for seed in grid.seeds if (pick := _select([run for run in runs if run.seed == seed], epochs))]
    return Cell(
        picks=tuple(sorted(picks, key=lambda pick: (pick.error_percent, pick.seed))),
        ended=len(ended),
        wanted=len(runs),
        diverged=ended.count("diverged"),
        reason="" if picks else _reason(runs),
    )


def _reason(runs: Sequence[Run]) -> str:
    """Return why a cell has no number: without its dataset a grid has no runs."""
    return "not run yet" if runs else "dataset not available"


def _select(runs: Sequence[Run], epochs: Epochs) -> Pick | None:
    """Return the epoch that the rule selects among the runs of one seed."""
    points = [(point, run) for run in runs for point in epochs.get(run.id, ())]
    if not points:
        return None
    point, run = min(points, key=lambda pair: (pair[0].criterion, -pair[1].rate_multiplier, pair[0].epoch))
    return Pick(
        run.seed, run.id, run.rate_multiplier, point.epoch, point.test_wrong, point.test_seen, point.one_class
    )


def colour_of(error: float | None, baseline: float | None) -> Colour | None:
    """Return the colour of an error (percent) next to the baseline's, by the 3-point rule."""
    if error is None or baseline is None:
        return None
    difference = round(error - baseline, 6)
    if difference >= POINTS:
        return "worse"
    return "better" if difference <= -POINTS else None


def _with_colours(cell: Cell, baseline: Cell | None) -> Cell:
    """Return the cell with its colours; ours needs complete cells, since the errors of others may still fall."""
    if baseline is None:
        return cell
    complete = cell.complete and baseline.complete
    ours = colour_of(cell.error_percent, baseline.error_percent) if complete else None
    return replace(cell, colour=ours, paper_colour=colour_of(cell.paper, baseline.paper))
