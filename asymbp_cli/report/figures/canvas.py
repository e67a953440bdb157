"""Drawing without global state: one style, the same colour for a method everywhere, the same bytes each time."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from asymbp_cli.report.document import Figure
from asymbp_cli.specs.methods import PAPER_METHODS
from asymbp_cli.text import escape_controls

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

GREY = "#747b86"  # of text and lines: legible on a light and on a dark page
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito (2008)
COLOUR_NAMES = ("blue", "vermilion", "green", "pink", "orange", "light blue")
_DASHES = ("solid", "dashed", "dashdot", "dotted")
MARKERS = "osD^vPX*<>hdp8H"
_DPI = 144
_WIDTH = 8.4  # inches
_STYLE: Any = {
    "text.parse_math": False,  # a label is what its user wrote
    "svg.fonttype": "none",
    "font.size": 9,
    "font.family": ["DejaVu Sans", "sans-serif"],
    "text.color": GREY,
    "axes.labelcolor": GREY,
    "axes.edgecolor": GREY,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "xtick.color": GREY,
    "ytick.color": GREY,
    "grid.color": GREY,
    "grid.alpha": 0.2,
    "axes.grid": True,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
}


@contextmanager
def canvas(rows: int, columns: int, row_inches: float) -> Iterator[tuple["Drawing", list["Axes"]]]:
    """Yield a drawing and its axes, which share their scales; matplotlib's settings apply only inside."""
    import matplotlib
    from matplotlib.figure import Figure as Drawing

    with matplotlib.rc_context(_STYLE):
        height = rows * row_inches + 0.75
        drawing = Drawing(figsize=(_WIDTH, height))
        axes = drawing.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        drawing.subplots_adjust(
            left=0.65 / _WIDTH,
            right=1 - 0.1 / _WIDTH,
            bottom=0.5 / height,
            top=1 - 0.25 / height,
            hspace=0.3 / row_inches,
            wspace=0.08,
        )
        yield drawing, list(axes.flat)


def save_figure(drawing: "Drawing", name: str, caption: str, alt: str) -> Figure:
    """Return the drawing as SVG and PNG. Equal data give equal bytes; ids differ between figures."""
    import matplotlib
    from matplotlib.text import Text

    safe = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    text, pixels = io.StringIO(), io.BytesIO()
    for label in drawing.findobj(Text):
        label.set_text(escape_controls(label.get_text()))  # or the SVG would be no XML
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": safe}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the PNG's font may lack a letter; the SVG has it
        drawing.savefig(text, format="svg", transparent=True, metadata={"Date": None})
        drawing.savefig(pixels, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{safe}-", text.getvalue())
    return Figure(safe, caption, alt, svg, pixels.getvalue(), partial(_draw_pdf, drawing))


def _draw_pdf(drawing: "Drawing") -> bytes:
    """Return the drawing as PDF. Equal data give equal bytes."""
    import matplotlib

    content = io.BytesIO()
    with matplotlib.rc_context({**_STYLE, "pdf.fonttype": 42}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")
        drawing.savefig(content, format="pdf", transparent=True, metadata={"CreationDate": None})
    return content.getvalue()


def style_of(method: str) -> dict[str, Any]:
    """Return colour and dashes of a method, the same in every figure."""
    number = PAPER_METHODS.index(method) if method in PAPER_METHODS else sum(map(ord, method))
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": _DASHES[number // len(COLOURS) % len(_DASHES)],
    }


def scale_error_axis(axes: "Axes", values: list[float]) -> None:
    """Scale the error axis: logarithmic if the errors span more than a factor of five, otherwise from 0."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    all_positive = bool(values) and min(values) > 0
    if all_positive and max(values) > 5 * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_ylim(min(values) / 1.2, max(values) * 1.25)
    else:
        axes.set_ylim(0, max(values, default=1) * 1.08 or 1)
