"""One small panel per column of a table's row; learning curves and rates are drawn in such panels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.recipe.grid import GridColumn
from asymbp_cli.report.document import Figure
from asymbp_cli.report.figures.canvas import GREY, canvas, save_figure, scale_error_axis, style_of
from asymbp_cli.report.text import short_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PER_LINE = 4
Points = tuple[list[float], list[float]]  # x, error in percent


@dataclass(frozen=True)
class Panels:
    """What a figure of panels shows: one panel per column, and the baseline in grey in all of them."""

    draw: Mapping[int, Callable[["Axes"], None]]  # index of a column -> function that draws its panel
    x_label: str
    y_label: str = "test error, %"
    errors: Sequence[float] = ()  # all that are drawn; the vertical axis shows them
    limits: tuple[float, float] | None = None  # of the vertical axis, if it shows something else
    baseline: Points | None = None
    logarithmic_x: bool = False


def draw_panels(filled: FilledGrid, panels: Panels, *, name: str, caption: str, alt: str) -> Figure:
    """Return the figure of these panels."""
    lines = ceil(len(panels.draw) / _PER_LINE)
    with canvas(lines, min(_PER_LINE, len(panels.draw)), 1.55) as (drawing, all_axes):
        for axes, (j, draw) in zip(all_axes, panels.draw.items(), strict=False):
            if panels.baseline:
                axes.plot(*panels.baseline, color=GREY, linewidth=1, alpha=0.6)
            draw(axes)
            axes.set_title(filled.grid.columns[j].header, loc="left")
        for axes in all_axes[len(panels.draw) :]:
            axes.set_visible(False)
        _scale_axes(all_axes[0], panels)
        drawing.supxlabel(panels.x_label, fontsize=9)
        drawing.supylabel(panels.y_label, fontsize=9)
        return save_figure(drawing, name, caption, alt)


def _scale_axes(axes: "Axes", panels: Panels) -> None:
    from matplotlib.ticker import MaxNLocator

    if panels.logarithmic_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    if panels.limits:
        axes.set_ylim(*panels.limits)
        return
    baseline_errors = panels.baseline[1] if panels.baseline else []
    scale_error_axis(axes, [*panels.errors, *baseline_errors])


def style_of_column(column: GridColumn) -> dict[str, Any]:
    """Return colour and dashes of a column's method."""
    return style_of(column.paper_name or column.header)


def describe_table(filled: FilledGrid) -> str:
    """Return a table's short title and protocol, for captions."""
    return f"{short_title(filled.grid.title)}, protocol {filled.grid.protocol_label}"


def describe_baseline(filled: FilledGrid) -> str:
    """Return the end of a caption that names the grey curve, if there is one."""
    return f"; in grey {filled.grid.baseline.header}" if filled.grid.baseline else ""
