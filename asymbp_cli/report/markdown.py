"""Documents as GitHub-flavoured markdown."""

import re
from urllib.parse import quote

from tabulate import tabulate

from asymbp_cli.analysis.cells import Cell, Colour
from asymbp_cli.report.cells import Detail, format_error, format_range, has_paper, is_best, list_details, sign_of
from asymbp_cli.report.document import Block, Code, Document, Figure, Listing
from asymbp_cli.report.result_table import ResultTable
from asymbp_cli.report.source import Rendered, Source
from asymbp_cli.report.text import split_code_spans
from asymbp_cli.text import escape_controls

_SIGNS = {"worse": " 🟨", "better": " 🟦"}  # full; hollow ones are triangles


def render_report(source: Source) -> Rendered:
    """Return the report, with its figures in the source's folder, or without figures if it has none."""
    folder = source.figure_folder
    if folder is None:
        return Rendered(render(source.assemble()))
    figures = source.draw_figures()
    files = {}
    for figure in figures:
        files[f"{folder}/{figure.name}.svg"] = figure.svg.encode()
        files[f"{folder}/{figure.name}.png"] = figure.png
    return Rendered(render(source.assemble(figures), folder), files)


def render(document: Document, figure_folder: str | None = None) -> str:
    """Return the document as markdown; without a folder for its figures it has none."""
    summary = "\n".join(f"- {escape(line)}" for line in document.summary)
    texts = [f"# {escape(document.title)}", summary, document.introduction]
    texts += [render_block(block, figure_folder) for block in document.blocks]
    return "\n\n".join(text.strip() for text in texts if text) + "\n"


def render_block(block: Block, figure_folder: str | None = None, *, level: int = 2) -> str:
    """Return a block under a heading of a level; nothing for a figure without a folder."""
    match block:
        case ResultTable():
            return render_table(block, level=level)
        case Listing():
            return _listing(block, level)
        case Code():
            return f"{'#' * level} {escape(block.title)}\n\n```bibtex\n{block.text}\n```"
        case Figure():
            return "" if figure_folder is None else _figure(block, figure_folder)


def render_table(table: ResultTable, *, level: int = 2) -> str:
    """Return the table, with the paper's row below ours if the paper has one, and the notes as a list."""
    lines: list[list[str]] = []
    for label, cells in table.rows:
        lines.append([escape(label), *(_ours(cell, is_best(cell, cells)) for cell in cells)])
        details = list_details(cells)
        lines += [_detail(label, detail) for detail in details if detail.beside]
        if has_paper(cells):
            lines.append([f"{escape(label)} (paper)", *(_papers(cell) for cell in cells)])
        lines += [_detail(label, detail) for detail in details if not detail.beside]
    align = ["left", *("right" for _ in table.header)]
    return _section(table.title, ["", *map(escape, table.header)], lines, table.notes, align, level)


def _detail(label: str, detail: Detail) -> list[str]:
    return [f"{escape(label)} ({detail.name})", *detail.texts]


def _listing(listing: Listing, level: int) -> str:
    lines = [[escape(value) for value in row] for row in listing.rows]
    return _section(listing.title, [escape(name) for name in listing.header], lines, listing.notes, None, level)


def _section(
    title: str,
    header: list[str],
    lines: list[list[str]],
    notes: tuple[str, ...],
    align: list[str] | None,
    level: int,
) -> str:
    table = tabulate(lines, header, tablefmt="pipe", disable_numparse=True, colalign=align if lines else None)
    return f"{'#' * level} {escape(title)}\n\n{table}\n\n" + "\n".join(f"- {escape(note)}" for note in notes)


def _figure(figure: Figure, folder: str) -> str:
    address = quote(f"{folder}/{figure.name}.svg")  # spaces, # and % mean something in a link
    return f"![{escape(figure.alt)}]({address})\n\n{escape(figure.caption)}"


def _ours(cell: Cell, best: bool) -> str:
    if cell.error_percent is None:
        return "-"
    text = format_error(cell).replace("*", "\\*").replace("~", "\\~")
    if best:
        text = f"**{text}**"
    if error_range := format_range(cell):
        text += f" ({error_range})"
    return text + _sign(cell.colour, hollow=cell.hollow)


def _papers(cell: Cell) -> str:
    sign = _sign(cell.paper_colour, hollow=cell.paper_hollow)
    return "-" if cell.paper is None else f"*{cell.paper:.2f}*{sign}"


def _sign(colour: Colour | None, *, hollow: bool) -> str:
    """Return a square in the colour, or a hollow triangle."""
    if colour is None:
        return ""
    return f" {sign_of(colour, hollow=True)}" if hollow else _SIGNS[colour]


def escape(text: str) -> str:
    """Return text that markdown shows as it is, in one line, except for `code`."""
    text = escape_controls(text, keep="")
    return "".join(
        f"`{piece}`".replace("|", "\\|") if is_code else re.sub(r"([\\|*_<\[\]`&~$])", r"\\\1", piece)
        for piece, is_code in split_code_spans(text)
    )
