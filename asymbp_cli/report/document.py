"""The neutral form of a report: a document is a list of blocks, each of which every renderer can print."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from asymbp_cli.report.result_table import ResultTable

_NUMBER = re.compile(r"[-+]?[0-9][0-9.,]*(e[-+][0-9]+| %| \([0-9]+ %\)| of [0-9]+)?")


@dataclass(frozen=True)
class Listing:
    """A small table of plain text, such as the agreement with the paper or the provenance.

    Text between backticks, here and in notes and captions, is code.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Return, per column, whether it holds only numbers and gaps (empty or `-`)."""
        columns = [[text for text in column if text not in ("", "-")] for column in zip(*self.rows, strict=True)]
        return tuple(bool(texts) and all(map(_NUMBER.fullmatch, texts)) for texts in columns)


@dataclass(frozen=True)
class Figure:
    """A picture of results, drawn once for every renderer. `name` is the stem of its files."""

    name: str
    caption: str
    alt: str  # a description for those who cannot see it
    svg: str
    png: bytes
    draw_pdf: Callable[[], bytes] = field(default=bytes, compare=False)  # which only LaTeX wants


@dataclass(frozen=True)
class Code:
    """Lines to copy as they are, such as an entry of a bibliography. They hold nothing of users."""

    title: str
    text: str


Block = ResultTable | Listing | Figure | Code


@dataclass(frozen=True)
class Document:
    """A report: its blocks in reading order."""

    title: str
    introduction: str
    blocks: tuple[Block, ...]
