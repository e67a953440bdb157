"""Documents as GitHub-flavoured markdown."""

import re

from tabulate import tabulate

from asymbp_cli.analysis.tables import Cell
from asymbp_cli.report.parts import Document, Figure, Listing, code_spans
from asymbp_cli.report.sheet import Sheet, is_best, number, spread

_SIGNS = {"worse": " 🟨", "better": " 🟦", None: ""}


def render(document: Document, figures: str | None = None) -> str:
    """Return the document as markdown; its figures lie in the folder `figures`, or are left out without one."""
    parts = [f"# {document.title}", document.introduction]
    for part in document.parts:
        if isinstance(part, Sheet):
            parts.append(_sheet(part))
        elif isinstance(part, Listing):
            parts.append(_listing(part))
        elif figures is not None:
            parts.append(_figure(part, figures))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _sheet(sheet: Sheet) -> str:
    """Return the table with the paper's row below ours where the paper has one, and the notes as a list."""
    lines: list[list[str]] = []
    for label, cells in sheet.rows:
        lines.append([_text(label), *(_own(cell, is_best(cell, cells)) for cell in cells)])
        if any(cell.paper is not None for cell in cells):
            lines.append([f"{_text(label)} (paper)", *(_paper(cell) for cell in cells)])
    align = ["left", *("right" for _ in sheet.header)]
    return _part(sheet.title, ["", *map(_text, sheet.header)], lines, sheet.notes, align)


def _listing(listing: Listing) -> str:
    lines = [[_text(value) for value in row] for row in listing.rows]
    return _part(listing.title, [_text(name) for name in listing.header], lines, listing.notes, None)


def _part(
    title: str, header: list[str], lines: list[list[str]], notes: tuple[str, ...], align: list[str] | None
) -> str:
    table = tabulate(lines, header, tablefmt="pipe", disable_numparse=True, colalign=align if lines else None)
    return f"## {_text(title)}\n\n{table}\n\n" + "\n".join(f"- {_text(note)}" for note in notes)


def _figure(figure: Figure, folder: str) -> str:
    return f"![{_text(figure.alt)}]({folder}/{figure.name}.svg)\n\n{_text(figure.caption)}"


def _own(cell: Cell, best: bool) -> str:
    if cell.error_percent is None:
        return "-"
    text = number(cell).replace("*", "\\*").replace("~", "\\~")
    text = f"**{text}**" if best else text
    return text + (f" ({spread(cell)})" if spread(cell) else "") + _SIGNS[cell.colour]


def _paper(cell: Cell) -> str:
    return "-" if cell.paper is None else f"*{cell.paper:.2f}*{_SIGNS[cell.paper_colour]}"


def _text(text: str) -> str:
    """Return text that markdown leaves as it is, but for `code`."""
    return "".join(
        f"`{piece}`".replace("|", "\\|") if code else re.sub(r"([\\|*_<\[\]`&~])", r"\\\1", piece)
        for piece, code in code_spans(text)
    )
