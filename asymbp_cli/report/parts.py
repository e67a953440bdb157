"""The neutral form of a report: a document is a list of parts, each of which every renderer can print."""

from dataclasses import dataclass

from asymbp_cli.report.sheet import Sheet


@dataclass(frozen=True)
class Listing:
    """A small table of plain text, such as the agreement with the paper or the provenance.

    Text between backticks, here and in notes and captions, is code.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


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
