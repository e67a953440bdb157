"""Error against learning rate: the lowest test error of each run."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from asymbp_cli.analysis.tables import Epochs, FilledGrid
from asymbp_cli.recipe.grid import GridColumn
from asymbp_cli.report.document import Figure
from asymbp_cli.report.figures.canvas import GREY
from asymbp_cli.report.figures.panels import (
    Panels,
    Points,
    describe_baseline,
    describe_table,
    draw_panels,
    style_of_column,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class _Trained(NamedTuple):
    """The lowest test error of a run."""

    rate_multiplier: float
    error_percent: float
    dead: bool


def draw_rates(filled: FilledGrid, i: int, epochs: Epochs, stem: str) -> Iterator[Figure]:
    """Draw the lowest test error of each run against its rate multiplier; runs that ended dead are crosses."""
    grid, row = filled.grid, filled.grid.rows[i]
    by_column = {j: _trained(filled, i, column, epochs) for j, column in enumerate(grid.columns)}
    runs = {j: trained for j, trained in by_column.items() if trained}
    if len({run.rate_multiplier for trained in runs.values() for run in trained}) < 2:
        return
    baseline = _trained(filled, i, grid.baseline, epochs) if grid.baseline else []
    best = {j: min(trained, key=lambda run: run.error_percent) for j, trained in runs.items()}
    descriptions = "; ".join(
        f"{grid.columns[j].header} {run.error_percent:.2f} % at x{run.rate_multiplier:g}"
        for j, run in best.items()
    )
    yield draw_panels(
        filled,
        Panels(
            draw={j: _panel(grid.columns[j], trained) for j, trained in runs.items()},
            errors=[run.error_percent for trained in runs.values() for run in trained],
            baseline=_lowest(baseline) if baseline else None,
            x_label="learning rate, times the base rate",
            logarithmic_x=True,
        ),
        name=f"{stem}-rates",
        caption=f"Error against learning rate on {row.label}, {describe_table(filled)}: lowest test error of each "
        "run; a cross marks one that diverged, or whose best epoch answers everything with one class"
        f"{describe_baseline(filled)}.",
        alt=f"Lowest test error of each method on {row.label} and the rate it needs. {descriptions}.",
    )


def _panel(column: GridColumn, trained: Sequence[_Trained]) -> Callable[["Axes"], None]:
    def draw(axes: "Axes") -> None:
        axes.plot(*_lowest(trained), marker=".", markersize=7, **style_of_column(column))
        dead = [run for run in trained if run.dead]
        rates, errors = [run.rate_multiplier for run in dead], [run.error_percent for run in dead]
        axes.plot(rates, errors, "x", color=GREY, markersize=7, zorder=3)

    return draw


def _trained(filled: FilledGrid, i: int, column: GridColumn, epochs: Epochs) -> list[_Trained]:
    """Return the column's runs that have epochs, of all seeds and procedures, by rate."""
    trained = []
    for run in filled.grid.runs(filled.grid.rows[i], column):
        if points := epochs.get(run.id):
            best = min(points, key=lambda point: (point.test_wrong, point.epoch))
            dead = best.one_class or any(point.diverged for point in points)
            trained.append(_Trained(run.rate_multiplier, 100 * best.test_wrong / best.test_seen, dead))
    return sorted(trained)


def _lowest(trained: Sequence[_Trained]) -> Points:
    """Return the lowest error at each rate."""
    lowest: dict[float, float] = {}
    for rate, error, _ in trained:
        lowest[rate] = min(error, lowest.get(rate, error))
    return list(lowest), list(lowest.values())
