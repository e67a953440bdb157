"""Charts as SVG: parts of a page, whose colours they take, or a file that follows its reader's light or dark."""

from collections.abc import Iterable
from html import escape

from asymbp_cli.report.charts.chart import Chart, KeyEntry, Marker, Panel
from asymbp_cli.report.charts.layout import (
    Mark,
    Path,
    Point,
    Shape,
    Words,
    lay_out_chart,
    lay_out_panel,
    lay_out_sample,
)
from asymbp_cli.report.charts.looks import FONT_SIZE, write_own_rules
from asymbp_cli.text import escape_controls

#: the outlines of markers of radius 1
OUTLINES: dict[Marker, tuple[Point, ...]] = {
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "diamond": ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
    "triangle": ((0, -1.2), (1.15, 0.9), (-1.15, 0.9)),
}


def write_panel(chart: Chart, panel: Panel, alt: str) -> str:
    """Return a panel as an element of a page."""
    size = f'viewBox="0 0 {chart.width:g} {chart.height:g}"'
    shapes = _write(lay_out_panel(chart, panel))
    return f'<svg class="chart" {size} role="img" aria-label="{_escape(alt)}">{shapes}</svg>'


def write_sample(entry: KeyEntry) -> str:
    """Return the look of an entry of the key as an element of a page."""
    size = f'viewBox="-1 -1 26 {FONT_SIZE + 2}" width="26" height="{FONT_SIZE + 2}"'
    return f'<svg class="chart" {size} aria-hidden="true">{_write(lay_out_sample(entry))}</svg>'


def write_file(chart: Chart, alt: str) -> str:
    """Return a chart as a file of its own."""
    width, height, shapes = lay_out_chart(chart)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{_escape(alt)}"><style>{write_own_rules()}</style>'
        f"{_write(shapes)}</svg>\n"
    )


def _write(shapes: Iterable[Shape]) -> str:
    return "".join(map(_write_shape, shapes))


def _write_shape(shape: Shape) -> str:
    match shape:
        case Path():
            end = "Z" if shape.band else ""
            pieces = "".join(f"M{' '.join(map(_write_point, piece))}{end}" for piece in shape.pieces)
            return f'<path class="{shape.look}{" band" if shape.band else ""}" d="{pieces}"/>'
        case Mark():
            return "".join(_write_mark(shape, point) for point in shape.points)
        case Words():
            x, y = shape.place
            anchor = "" if shape.anchor == "start" else f' text-anchor="{shape.anchor}"'
            return f'<text class="{shape.kind}" x="{x:.1f}" y="{y:.1f}"{anchor}>{_escape(shape.text)}</text>'


def _write_mark(mark: Mark, point: Point) -> str:
    (x, y), size = point, mark.radius
    look = f'class="{mark.look} mark{"" if mark.hollow or mark.marker == "cross" else " full"}"'
    if mark.marker == "dot":
        return f'<circle {look} cx="{x:.1f}" cy="{y:.1f}" r="{size:g}"/>'
    if mark.marker == "cross":
        arms = (
            f"M{x - size:.1f} {y - size:.1f}l{2 * size:g} {2 * size:g}m0 {-2 * size:g}l{-2 * size:g} {2 * size:g}"
        )
        return f'<path {look} d="{arms}"/>'
    corners = (_write_point((x + size * a, y + size * b)) for a, b in OUTLINES[mark.marker])
    return f'<path {look} d="M{" ".join(corners)}Z"/>'


def _write_point(point: Point) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"


def _escape(text: str) -> str:
    """Return text for XML, which has no control characters, escaped."""
    return escape(escape_controls(text))
