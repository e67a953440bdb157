"""The neutral form of a report: a document is a list of parts, each of which every renderer can print."""

import re
from dataclasses import dataclass

from asymbp_cli.report.sheet import Sheet

_NUMBER = re.compile(r"[-+]?\d[\d.,]*( %| \(\d+ %\)| of \d+)?")


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
        """Tell of each column whether it holds numbers, beside gaps (nothing or `-`) at most."""
        columns = [[text for text in column if text not in ("", "-")] for column in zip(*self.rows, strict=True)]
        return tuple(bool(texts) and all(map(_NUMBER.fullmatch, texts)) for texts in columns)


@dataclass(frozen=True)
class Figure:
    """A picture of results, drawn once for every renderer. `name` is the stem of its files."""

    name: str
    caption: str
    alt: str  # what it shows, for those who cannot see it
    svg: str
    png: bytes


@dataclass(frozen=True)
class Document:
    """A report: its parts in reading order."""

    title: str
    introduction: str
    parts: tuple[Sheet | Listing | Figure, ...]


def code_spans(text: str) -> list[tuple[str, bool]]:
    """Split text at its backticks: pieces, each with whether it is code. A backtick without a partner is text."""
    pieces = re.split(r"`([^`]+)`", text)
    return [(piece, i % 2 == 1) for i, piece in enumerate(pieces) if piece]


def lead(text: str) -> str:
    """Return what a title or caption begins with: up to a full stop or colon that stands in no brackets."""
    return re.split(r"[.:](?: |$)(?![^(]*\))", text)[0]
