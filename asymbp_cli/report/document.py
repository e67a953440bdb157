"""The neutral form of a report: a document is a list of blocks, each of which every renderer can print."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # lists of names need no tables and charts
    from asymbp_cli.report.charts.chart import Chart
    from asymbp_cli.report.result_table import ResultTable

_NUMBER = re.compile(r"\[?[-+]?[0-9][0-9.,]*\]?[=*]*(e[-+][0-9]+| %| \([0-9]+ %\)| of [0-9]+| [0-9]+)?")


@dataclass(frozen=True)
class Listing:
    """A small table of plain text, such as the agreement with the paper or the provenance.

    Text between backticks, here and in notes and captions, is code. A `folded` one belongs to the block above it,
    and is closed at first if a format can do that. A terminal that is too narrow leaves out columns of `least`,
    the first ones first, and never wraps those of `whole`. Both have headers.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    folded: bool = False
    least: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Return, per column, whether it holds only numbers and gaps (empty or `-`)."""
        columns = [[text for text in column if text not in ("", "-")] for column in zip(*self.rows, strict=True)]
        return tuple(bool(texts) and all(map(_NUMBER.fullmatch, texts)) for texts in columns)


@dataclass(frozen=True)
class Figure:
    """A chart of results; it belongs to the block above it. `name` is the stem of its files."""

    name: str
    caption: str
    alt: str  # a description for those who cannot see it
    chart: "Chart"
    table: int | None = None  # the number of the table that it shows; None: all of them
    dataset: str = ""  # the row of that table
    heading: str = ""  # how the caption begins

    @cached_property
    def svg(self) -> str:
        """Return the chart as an SVG file, which follows its reader's light or dark."""
        from asymbp_cli.report.charts.svg import write_file

        return write_file(self.chart, self.alt)

    @cached_property
    def png(self) -> bytes:
        """Return the chart as PNG, on white ground."""
        from asymbp_cli.report.charts.pictures import draw_png

        return draw_png(self.chart)

    @cached_property
    def pdf(self) -> bytes:
        """Return the chart as PDF, without ground."""
        from asymbp_cli.report.charts.pictures import draw_pdf

        return draw_pdf(self.chart)


@dataclass(frozen=True)
class Code:
    """Lines to copy as they are, such as an entry of a bibliography. They hold nothing of users."""

    title: str
    text: str


Block: TypeAlias = "ResultTable | Listing | Figure | Code"


@dataclass(frozen=True)
class Document:
    """A report: its blocks in reading order, and what it says in a few lines."""

    title: str
    introduction: str
    blocks: tuple[Block, ...]
    summary: tuple[str, ...] = ()
