"""Documents as one HTML page that needs no network: styles, script and figures are in it."""

import re
from pathlib import Path
from xml.etree import ElementTree

from asymbp_cli.analysis.tables import Cell
from asymbp_cli.report.parts import Document, Figure, Listing, code_spans, lead
from asymbp_cli.report.sheet import Sheet, colours, digits_and_marks, is_best, most_marks, number, spread

_TEMPLATE = Path(__file__).with_name("page.html")


def render(document: Document) -> str:
    """Return the document as a page. Everything but our own figures is escaped: labels come from users' files."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(
        code_spans=code_spans,
        colours=colours,
        details=details,
        digits_and_marks=digits_and_marks,
        heading=heading,
        inline_svg=inline_svg,
        is_best=is_best,
        most_marks=most_marks,
        number=number,
        spread=spread,
    )
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    parts = [(f"part-{i}", type(part).__name__, part) for i, part in enumerate(document.parts, start=1)]
    page = template.render(document=document, parts=parts)
    return page.encode("utf-8", "replace").decode("utf-8")  # file names need not be Unicode; a page must be


def heading(part: Sheet | Listing | Figure) -> str:
    """Return a part's name in the contents: its title, or what a figure's caption begins with."""
    return lead(part.caption) if isinstance(part, Figure) else part.title


def details(cell: Cell) -> str:
    """Return where a cell's number comes from, or why there is none: counts, rate, epoch, run."""
    runs = f"{cell.ended} of {cell.wanted} runs done" + (f", {cell.diverged} diverged" if cell.diverged else "")
    pick = cell.pick
    if pick is None:
        reason = cell.reason or "no number"
        return f"{reason}; {runs}" if cell.wanted else reason
    of_seeds = f"median of {len(cell.picks)} seeds, here seed {pick.seed}: " if len(cell.picks) > 1 else ""
    return (
        f"{of_seeds}{pick.wrong:,} of {pick.seen:,} wrong; rate multiplier {pick.rate_multiplier:g}, "
        f"epoch {pick.epoch}, run {pick.run}; {runs}"
    )


def inline_svg(figure: Figure, prefix: str) -> str:
    """Return a figure's drawing as markup inside a page.

    Prolog, doctype, metadata and XML namespaces go (HTML knows the elements without them); `prefix` before its
    ids keeps those of two figures apart.
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
