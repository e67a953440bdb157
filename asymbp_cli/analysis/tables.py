"""A grid joined with stored runs -> cells, coloured by the paper's rule, the paper's number beside each."""

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

    Without any epoch yet there are no picks, and `reason` says why.
    """

    picks: tuple[Pick, ...] = ()  # one per seed, best first
    ended: int = 0  # runs that are done
    wanted: int = 0  # runs that the cell takes
    diverged: int = 0  # of the runs that are done
    paper: float | None = None  # the paper's error, percent
    colour: Colour | None = None  # against this row's baseline
    paper_colour: Colour | None = None
    reason: str = ""

    @property
    def error_percent(self) -> float | None:
        """Return the test error in percent, the median where there are several seeds."""
        return median(pick.error_percent for pick in self.picks) if self.picks else None

    @property
    def range_percent(self) -> tuple[float, float] | None:
        """Return the lowest and the highest error among seeds; None with fewer than two."""
        if len(self.picks) < 2:
            return None
        return self.picks[0].error_percent, self.picks[-1].error_percent

    @property
    def pick(self) -> Pick | None:
        """Return the pick of the median seed, the better of two in the middle."""
        return self.picks[(len(self.picks) - 1) // 2] if self.picks else None

    @property
    def collapsed(self) -> bool:
        """Tell whether the number's epoch, the median seed's, answers everything with one class."""
        return self.pick is not None and self.pick.collapsed

    @property
    def complete(self) -> bool:
        """Tell whether all runs of the cell are done."""
        return self.wanted > 0 and self.ended == self.wanted


@dataclass(frozen=True)
class FilledGrid:
    """A grid with its cells, row by row in the grid's order, and each row's baseline."""

    grid: Grid
    cells: tuple[tuple[Cell, ...], ...]
    baselines: tuple[Cell | None, ...]


Epochs = Mapping[str, Sequence[EpochEnded]]
States = Mapping[str, str]


def chosen(grids: Sequence[Grid], keys: Sequence[str]) -> list[Grid]:
    """Return the grids that `keys` name (`2`, `4` for both halves, a recipe's name); all of them without keys.

    Raises UsageError where there is nothing, or nothing of that name.
    """

    def matches(name: str, key: str) -> bool:
        return name in (key, f"table-{key}", f"recipe-{key}") or name.startswith(f"table-{key}-")

    if not grids:
        raise UsageError("nothing has been trained there yet; type asymbp reproduce --table 2")
    known = list(dict.fromkeys(grid.key for grid in grids))
    for key in keys:
        if not any(matches(name, key) for name in known):
            hint = nearest(key, [name.partition("-")[2] for name in known])
            raise UsageError(f'nothing was trained for table "{key}".{hint} There is: {", ".join(known)}')
    return [grid for grid in grids if not keys or any(matches(grid.key, key) for key in keys)]


def fill_all(store: Store, grids: Iterable[Grid]) -> list[FilledGrid]:
    """Return the grids filled with what the store holds, the paper's numbers beside."""
    grids = list(grids)
    states, epochs = store.states(), store.selected({run for grid in grids for run in grid.all_runs()})
    return [fill(grid, epochs, states, load_published()) for grid in grids]


def fill(grid: Grid, epochs: Epochs, states: States, paper: Mapping[tuple[str, str], float]) -> FilledGrid:
    """Return the grid's cells from stored epochs and run states, both by run id.

    `paper` holds the published errors in percent by (row name in the paper, name of the method).
    """

    def filled(row: GridRow, column: GridColumn) -> Cell:
        value = paper.get((row.paper_name or "", column.paper_name or ""))
        return replace(select(grid, row, column, epochs, states), paper=value)

    baselines = [filled(row, grid.baseline) if grid.baseline else None for row in grid.rows]
    cells = tuple(
        tuple(_coloured(filled(row, column), baseline) for column in grid.columns)
        for row, baseline in zip(grid.rows, baselines, strict=True)
    )
    return FilledGrid(grid, cells, tuple(baselines))


def select(grid: Grid, row: GridRow, column: GridColumn, epochs: Epochs, states: States) -> Cell:
    """Return the cell of one row and column by the protocol's rule.

    The paper's (section 5): the lowest test error over all epochs of all runs; the largest rate and then the
    earliest epoch among equals. With a held-out part of the training set the lowest validation error decides,
    and the test error at that point is reported. Each seed is a repetition of the whole experiment.
    """
    runs = grid.runs(row, column)
    ended = [states[run.id] for run in runs if run.id in states]
    picks = [pick for seed in grid.seeds if (pick := _pick([r for r in runs if r.seed == seed], epochs))]
    return Cell(
        picks=tuple(sorted(picks, key=lambda pick: (pick.error_percent, pick.seed))),
        ended=len(ended),
        wanted=len(runs),
        diverged=ended.count("diverged"),
        reason="" if picks else "not run yet" if runs else "dataset not here",
    )


def _pick(runs: Sequence[Run], epochs: Epochs) -> Pick | None:
    points = [(point, run) for run in runs for point in epochs.get(run.id, ())]
    if not points:
        return None
    point, run = min(points, key=lambda pair: (pair[0].criterion, -pair[1].rate_multiplier, pair[0].epoch))
    return Pick(
        run.seed, run.id, run.rate_multiplier, point.epoch, point.test_wrong, point.test_seen, point.one_class
    )


def colour(error: float | None, baseline: float | None) -> Colour | None:
    """Return how an error (percent) stands against the baseline's by the 3-point rule."""
    if error is None or baseline is None:
        return None
    difference = round(error - baseline, 6)
    return "worse" if difference >= POINTS else "better" if difference <= -POINTS else None


def _coloured(cell: Cell, baseline: Cell | None) -> Cell:
    """Return the cell with its colours; ours only where both are done, as an unfinished error may still fall."""
    if baseline is None:
        return cell
    done = cell.complete and baseline.complete
    own = colour(cell.error_percent, baseline.error_percent) if done else None
    return replace(cell, colour=own, paper_colour=colour(cell.paper, baseline.paper))
