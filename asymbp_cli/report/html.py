"""Documents as one HTML page that needs no network: it contains styles, script and figures."""

import re
from pathlib import Path
from xml.etree import ElementTree

from asymbp_cli.analysis.cells import Cell
from asymbp_cli.report.cells import (
    format_error,
    format_range,
    has_paper,
    is_best,
    list_details,
    sign_of,
    split_marks,
)
from asymbp_cli.report.command_listing import list_commands
from asymbp_cli.report.document import Block, Document, Figure
from asymbp_cli.report.source import Rendered, Source
from asymbp_cli.report.text import short_title, split_code_spans

_TEMPLATE = Path(__file__).with_name("page.html")


def render_report(source: Source) -> Rendered:
    """Return the report, with its figures in it."""
    return Rendered(render(source.assemble(source.draw_figures())))


def render(document: Document) -> str:
    """Return the document as a page. Everything but our own figures is escaped: labels come from users' files."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(
        describe_cell=describe_cell,
        format_error=format_error,
        format_range=format_range,
        has_paper=has_paper,
        heading_of=heading_of,
        inline_svg=inline_svg,
        is_best=is_best,
        list_commands=list_commands,
        list_details=list_details,
        sign_of=sign_of,
        split_code_spans=split_code_spans,
        split_marks=split_marks,
    )
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    blocks = [(f"part-{i}", type(block).__name__, block) for i, block in enumerate(document.blocks, start=1)]
    page = template.render(document=document, blocks=blocks)
    return page.encode("utf-8", "replace").decode("utf-8")  # file names need not be Unicode; a page must be


def heading_of(block: Block) -> str:
    """Return a block's name in the contents: its title, or the beginning of a figure's caption."""
    return short_title(block.caption) if isinstance(block, Figure) else block.title


def describe_cell(cell: Cell) -> str:
    """Return the origin of a cell's number (counts, rate, epoch, run), or why it has none."""
    runs = f"{cell.ended} of {cell.wanted} runs done" + (f", {cell.diverged} diverged" if cell.diverged else "")
    pick = cell.pick
    if pick is None:
        reason = cell.reason or "no number"
        return f"{reason}; {runs}" if cell.wanted else reason
    of_seeds = f"median of {len(cell.picks)} seeds, here seed {pick.seed}: " if len(cell.picks) > 1 else ""
    return (
        f"{of_seeds}{pick.wrong:,} of {pick.seen:,} wrong; rate multiplier {pick.rate_multiplier:g}, "
        f"epoch {pick.epoch}, run {pick.run}; {runs}{_describe_uncertainty(cell)}"
    )


def _describe_uncertainty(cell: Cell) -> str:
    """Return the standard error of a cell, and its difference to the baseline with that of the difference."""
    text = f"; standard error {cell.standard_error:.2f} points"
    if cell.difference is None:
        return text
    return (
        f"{text}; {cell.difference.points:+.2f} points from the baseline, "
        f"standard error {cell.difference.standard_error:.2f}"
    )


def inline_svg(figure: Figure, prefix: str) -> str:
    """Return a figure's drawing as markup inside a page.

    It has no prolog, doctype, metadata or XML namespaces, which HTML does not need. The `prefix` of its ids
    distinguishes them from those of other figures.
    """
    root = ElementTree.fromstring(figure.svg)
    for element in root.iter():
        element.tag = _local(element.tag)
        attributes = {_local(key): value for key, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update({key: _prefixed(key, value, prefix) for key, value in attributes.items()})
    for metadata in root.findall("metadata"):
        root.remove(metadata)
    root.attrib.update({"role": "img", "aria-label": figure.alt})
    return ElementTree.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _prefixed(key: str, value: str, prefix: str) -> str:
    if key == "id":
        return f"{prefix}-{value}"
    if key == "href":
        return re.sub("^#", f"#{prefix}-", value)
    return re.sub(r"url\(#", f"url(#{prefix}-", value)
