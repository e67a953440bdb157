"""A small panel per column of one row of a table: learning curves, and error against learning rate."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

from asymbp_cli.analysis.tables import FilledGrid, Pick
from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.grid import GridColumn
from asymbp_cli.report.figures.canvas import GREY, canvas, finished, look, percent_axis
from asymbp_cli.report.parts import Figure, lead

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PER_LINE = 4
Epochs = Mapping[str, Sequence[EpochEnded]]
Points = tuple[list[float], list[float]]


def learning_curves(filled: FilledGrid, i: int, epochs: Epochs, stem: str) -> Iterator[Figure]:
    """Draw the test error of each cell's selected run over its epochs, the baseline's in grey."""
    picks = {j: cell.pick for j, cell in enumerate(filled.cells[i]) if cell.pick and epochs.get(cell.pick.run)}
    if max((len(epochs[pick.run]) for pick in picks.values()), default=0) < 2:
        return
    baseline = filled.baselines[i]
    reference = _curve(epochs.get(baseline.pick.run, ())) if baseline and baseline.pick else None

    def draw(axes: "Axes", j: int, column: GridColumn) -> None:
        pick = picks[j]
        axes.plot(*_curve(epochs[pick.run]), **_look(column))
        axes.plot([pick.epoch], [pick.error_percent], "o", color=_look(column)["color"], markersize=5)

    row = filled.grid.rows[i].label
    alt = "; ".join(f"{filled.grid.columns[j].header} {_picked(pick)}" for j, pick in picks.items())
    yield _panels(
        filled,
        list(picks),
        draw,
        reference=reference,
        values=[y for pick in picks.values() for y in _curve(epochs[pick.run])[1]],
        x="epoch",
        log_x=False,
        name=f"{stem}-learning-curves",
        caption=f"Learning curves on {row}, {_where(filled)}: test error of the run that the rule selects, a dot "
        f"at its selected epoch{_reference(filled)}.",
        alt=f"Learning curves on {row}. {alt}.",
    )


def rates(filled: FilledGrid, i: int, epochs: Epochs, stem: str) -> Iterator[Figure]:
    """Draw the lowest test error of each run against its rate multiplier; runs that ended dead are crosses."""
    grid, row = filled.grid, filled.grid.rows[i]
    found = {j: _by_rate(filled, i, column, epochs) for j, column in enumerate(grid.columns)}
    found = {j: points for j, points in found.items() if points}
    if len({rate for points in found.values() for rate, _, _ in points}) < 2:
        return
    base = _by_rate(filled, i, grid.baseline, epochs) if grid.baseline else []

    def draw(axes: "Axes", j: int, column: GridColumn) -> None:
        axes.plot(*_line(found[j]), marker=".", markersize=7, **_look(column))
        dead = [(rate, error) for rate, error, is_dead in found[j] if is_dead]
        axes.plot([r for r, _ in dead], [e for _, e in dead], "x", color=GREY, markersize=7, zorder=3)

    best = {j: min(points, key=lambda point: point[1]) for j, points in found.items()}
    alt = "; ".join(f"{grid.columns[j].header} {error:.2f} % at x{rate:g}" for j, (rate, error, _) in best.items())
    yield _panels(
        filled,
        list(found),
        draw,
        reference=_line(base) if base else None,
        values=[error for points in found.values() for _, error, _ in points],
        x="learning rate, times the base rate",
        log_x=True,
        name=f"{stem}-rates",
        caption=f"Error against learning rate on {row.label}, {_where(filled)}: lowest test error of each run; a "
        "cross marks one that diverged, or whose best epoch answers everything with one class"
        f"{_reference(filled)}.",
        alt=f"Lowest test error of each method on {row.label} and the rate it needs. {alt}.",
    )


def _panels(
    filled: FilledGrid,
    columns: Sequence[int],
    draw: Callable[["Axes", int, GridColumn], None],
    *,
    reference: Points | None,
    values: list[float],
    x: str,
    log_x: bool,
    name: str,
    caption: str,
    alt: str,
) -> Figure:
    """Draw one panel per column, the reference in grey in all of them."""
    from matplotlib.ticker import MaxNLocator

    lines = ceil(len(columns) / _PER_LINE)
    with canvas(lines, min(_PER_LINE, len(columns)), 1.55) as (drawing, panels):
        for axes, j in zip(panels, columns, strict=False):
            if reference:
                axes.plot(*reference, color=GREY, linewidth=1, alpha=0.6)
            draw(axes, j, filled.grid.columns[j])
            axes.set_title(filled.grid.columns[j].header, loc="left")
        for axes in panels[len(columns) :]:
            axes.set_visible(False)
        if log_x:
            panels[0].set_xscale("log")
            panels[0].xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        else:
            panels[0].xaxis.set_major_locator(MaxNLocator(4, integer=True))
        percent_axis(panels[0], [*values, *(reference[1] if reference else ())])
        drawing.supxlabel(x, fontsize=9)
        drawing.supylabel("test error, %", fontsize=9)
        return finished(drawing, name, caption, alt)


def _curve(points: Sequence[EpochEnded]) -> Points:
    return [p.epoch for p in points], [100 * p.test_wrong / p.test_seen for p in points]


def _by_rate(filled: FilledGrid, i: int, column: GridColumn, epochs: Epochs) -> list[tuple[float, float, bool]]:
    """Return (rate multiplier, lowest test error, dead?) of each run with epochs, by rate; with several seeds or
    procedures all of their runs.
    """
    found = []
    for run in filled.grid.runs(filled.grid.rows[i], column):
        if points := epochs.get(run.id):
            best = min(points, key=lambda p: (p.test_wrong, p.epoch))
            dead = best.one_class or any(p.diverged for p in points)
            found.append((run.rate_multiplier, 100 * best.test_wrong / best.test_seen, dead))
    return sorted(found)


def _line(points: Sequence[tuple[float, float, bool]]) -> Points:
    """Return the lowest error at each rate."""
    lowest: dict[float, float] = {}
    for rate, error, _ in points:
        lowest[rate] = min(error, lowest.get(rate, error))
    return list(lowest), list(lowest.values())


def _look(column: GridColumn) -> dict[str, Any]:
    return look(column.paper_name or column.header)


def _picked(pick: Pick) -> str:
    return f"{pick.error_percent:.2f} % in epoch {pick.epoch}"


def _where(filled: FilledGrid) -> str:
    return f"{lead(filled.grid.title)}, protocol {filled.grid.protocol_label}"


def _reference(filled: FilledGrid) -> str:
    return f"; in grey {filled.grid.baseline.header}" if filled.grid.baseline else ""
