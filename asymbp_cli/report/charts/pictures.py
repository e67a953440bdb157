"""Charts as PNG and PDF: matplotlib draws the same shapes at the same places as the SVG has, on light ground."""

import io
import logging
import warnings
from typing import TYPE_CHECKING, Any

from asymbp_cli.report.charts.chart import Chart
from asymbp_cli.report.charts.layout import Mark, Path, Shape, Words, lay_out_chart
from asymbp_cli.report.charts.looks import BAND_OPACITY, FONT_SIZE, STROKES, WORDS
from asymbp_cli.report.palette import LIGHT
from asymbp_cli.text import escape_controls

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PER_INCH = 96  # pixels of a chart
_DPI = 2 * _PER_INCH
_POINTS = 72 / _PER_INCH  # in a pixel
_SETTINGS: Any = {
    "text.parse_math": False,  # a label is what its user wrote
    "font.family": ["DejaVu Sans", "sans-serif"],
    "pdf.fonttype": 42,
}
_MARKERS = {"dot": "o", "square": "s", "diamond": "D", "triangle": "^", "cross": "x"}
_ALIGNMENT = {"start": "left", "middle": "center", "end": "right"}


def draw_png(chart: Chart) -> bytes:
    """Return a chart as PNG. Equal charts give equal bytes."""
    return _draw(chart, "png", dpi=_DPI, facecolor="white", metadata={"Software": None})


def draw_pdf(chart: Chart) -> bytes:
    """Return a chart as PDF. Equal charts give equal bytes."""
    return _draw(chart, "pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})


def _tells_no_wait(record: logging.LogRecord) -> bool:
    """Return whether a message is another than that fonts are looked for, once on a machine."""
    return "building the font cache" not in record.getMessage()


def _draw(chart: Chart, form: str, **options: Any) -> bytes:
    import matplotlib

    logging.getLogger("matplotlib.font_manager").addFilter(_tells_no_wait)  # before it is imported
    from matplotlib.figure import Figure

    width, height, shapes = lay_out_chart(chart)
    file = io.BytesIO()
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the font may lack a letter
        drawing = Figure(figsize=(width / _PER_INCH, height / _PER_INCH))
        axes = drawing.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        for shape in shapes:
            _draw_shape(axes, shape)
        drawing.savefig(file, format=form, **options)
    return file.getvalue()


def _draw_shape(axes: "Axes", shape: Shape) -> None:
    match shape:
        case Path():
            _draw_path(axes, shape)
        case Mark():
            colour = LIGHT[STROKES[shape.look].colour]
            axes.plot(
                *zip(*shape.points, strict=True),
                _MARKERS[shape.marker],
                color=colour,
                markerfacecolor="none" if shape.hollow else colour,
                markersize=2 * shape.radius * _POINTS,
                clip_on=False,
            )
        case Words():
            axes.text(
                *shape.place,
                escape_controls(shape.text),
                color=LIGHT[WORDS[shape.kind]],
                fontsize=FONT_SIZE * _POINTS,
                fontweight="bold" if shape.kind == "title" else "normal",
                horizontalalignment=_ALIGNMENT[shape.anchor],
            )


def _draw_path(axes: "Axes", path: Path) -> None:
    stroke = STROKES[path.look]
    colour = LIGHT[stroke.colour]
    for piece in path.pieces:
        x, y = zip(*piece, strict=True)
        if path.band:
            axes.fill(x, y, color=colour, alpha=BAND_OPACITY, linewidth=0)
            continue
        dashes = tuple(length / stroke.width for length in stroke.dashes)  # matplotlib counts in widths
        axes.plot(x, y, color=colour, linewidth=stroke.width * _POINTS, linestyle=(0, dashes) if dashes else "-")
