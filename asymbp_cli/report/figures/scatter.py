"""All cells in one scatter plot: our errors against the paper's."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from asymbp_cli.analysis.agreement import deduplicate, pair_cells
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.report.document import Figure
from asymbp_cli.report.figures.canvas import COLOURS, GREY, MARKERS, canvas, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABELLED = 6  # of the cells furthest from the paper
_WORTH_A_LABEL = 1.0  # points
_BAND_POINTS = 3.0  # section 5


class _Point(NamedTuple):
    """A cell of the plot."""

    method: str
    row: str  # label of the dataset
    paper: float
    ours: float

    @property
    def distance(self) -> float:
        """Points between ours and the paper's."""
        return abs(self.ours - self.paper)


def draw_scatter(tables: Sequence[FilledGrid]) -> Iterator[Figure]:
    """Draw every complete cell against the paper's number, with the band of 3 points around equality."""
    points = _points(tables)
    if not points:
        return
    far = sorted((p for p in points if p.distance > _WORTH_A_LABEL), key=lambda point: -point.distance)[:_LABELLED]
    errors = [error for point in points for error in (point.paper, point.ours)]
    low, high = min(errors) / 1.3, min(100.0, max(errors) * 1.3)
    with canvas(1, 1, 6.0) as (drawing, (axes,)):
        axes.set_anchor("W")
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
        _draw_band(axes, low, high)
        _draw_points(axes, points)
        _label_points(axes, far, middle=(low * high) ** 0.5)
        _finish_axes(axes)
        yield save_figure(
            drawing,
            "ours-against-the-papers",
            "Every finished cell against the paper's number, both axes logarithmic; grey: equality, and 3 points "
            "around it.",
            _describe(points, far),
        )


def _points(tables: Sequence[FilledGrid]) -> list[_Point]:
    """Return the complete cells, each once; an error of 0 has no place on a logarithmic axis."""
    pairs = deduplicate(pair for filled in tables for pair in pair_cells(filled))
    return [
        _Point(pair.key[1], pair.row.label, pair.cell.paper, pair.cell.error_percent)
        for pair in pairs
        if pair.cell.paper and pair.cell.error_percent
    ]


def _draw_band(axes: "Axes", low: float, high: float) -> None:
    line = [low * (high / low) ** (k / 200) for k in range(201)]
    lower = [max(value - _BAND_POINTS, low) for value in line]
    upper = [value + _BAND_POINTS for value in line]
    axes.fill_between(line, lower, upper, color=GREY, alpha=0.15, linewidth=0)
    axes.plot([low, high], [low, high], color=GREY, linewidth=1)


def _draw_points(axes: "Axes", points: Sequence[_Point]) -> None:
    """Draw the cells of each dataset with a marker and a colour of their own."""
    for k, label in enumerate(dict.fromkeys(point.row for point in points)):
        own = [(point.paper, point.ours) for point in points if point.row == label]
        style: Any = {"marker": MARKERS[k % len(MARKERS)], "color": COLOURS[k % len(COLOURS)]}
        axes.plot(*zip(*own, strict=True), linestyle="none", alpha=0.8, label=label, **style)


def _label_points(axes: "Axes", points: Sequence[_Point], middle: float) -> None:
    """Write the names of points next to them, towards the middle of the axes."""
    for point in points:
        is_left = point.paper < middle
        side: Any = {"xytext": (6, 0), "ha": "left"} if is_left else {"xytext": (-6, 0), "ha": "right"}
        axes.annotate(
            f"{point.method}, {point.row}",
            (point.paper, point.ours),
            textcoords="offset points",
            fontsize=7,
            va="center",
            **side,
        )


def _finish_axes(axes: "Axes") -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("the paper's test error, %")
    axes.set_ylabel("ours, %")
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0, fontsize=8)


def _describe(points: Sequence[_Point], far: Sequence[_Point]) -> str:
    """Return the plot in words."""
    near = sum(point.distance <= _BAND_POINTS for point in points)
    text = f"{near} of {len(points)} cells are within 3 points of the paper's"
    if not far:
        return f"{text}."
    names = (f"{point.method} on {point.row} {point.ours:.2f} against {point.paper:.2f}" for point in far)
    return f"{text}; furthest away: {', '.join(names)}."
