"""Learning curves: the test error of each cell's selected run, epoch by epoch."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from asymbp_cli.analysis.cells import Cell, Pick
from asymbp_cli.analysis.tables import Epochs, FilledGrid
from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.grid import GridColumn
from asymbp_cli.report.document import Figure
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


def draw_learning_curves(filled: FilledGrid, i: int, epochs: Epochs, stem: str) -> Iterator[Figure]:
    """Draw the test error of each cell's selected run over its epochs, the baseline's in grey."""
    picks = {j: cell.pick for j, cell in enumerate(filled.cells[i]) if cell.pick and epochs.get(cell.pick.run)}
    if max((len(epochs[pick.run]) for pick in picks.values()), default=0) < 2:
        return
    columns, label = filled.grid.columns, filled.grid.rows[i].label
    curves = {j: _curve(epochs[pick.run]) for j, pick in picks.items()}
    descriptions = "; ".join(f"{columns[j].header} {_describe(pick)}" for j, pick in picks.items())
    yield draw_panels(
        filled,
        Panels(
            draw={j: _panel(columns[j], pick, curves[j]) for j, pick in picks.items()},
            errors=[error for _, errors in curves.values() for error in errors],
            baseline=_baseline(filled.baselines[i], epochs),
            x_label="epoch",
        ),
        name=f"{stem}-learning-curves",
        caption=f"Learning curves on {label}, {describe_table(filled)}: test error of the run that the rule "
        f"selects, a dot at its selected epoch{describe_baseline(filled)}.",
        alt=f"Learning curves on {label}. {descriptions}.",
    )


def _panel(column: GridColumn, pick: Pick, curve: Points) -> Callable[["Axes"], None]:
    def draw(axes: "Axes") -> None:
        style = style_of_column(column)
        axes.plot(*curve, **style)
        axes.plot([pick.epoch], [pick.error_percent], "o", color=style["color"], markersize=5)

    return draw


def _baseline(cell: Cell | None, epochs: Epochs) -> Points | None:
    return _curve(epochs.get(cell.pick.run, ())) if cell and cell.pick else None


def _curve(points: Sequence[EpochEnded]) -> Points:
    return [p.epoch for p in points], [100 * p.test_wrong / p.test_seen for p in points]


def _describe(pick: Pick) -> str:
    return f"{pick.error_percent:.2f} % in epoch {pick.epoch}"
