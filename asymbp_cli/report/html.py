"""Documents as one HTML page that needs no network and no script: it contains styles, figures and all notes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

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
from asymbp_cli.report.charts.layout import describe_axes
from asymbp_cli.report.charts.looks import write_rules
from asymbp_cli.report.charts.svg import write_panel, write_sample
from asymbp_cli.report.command_listing import list_commands
from asymbp_cli.report.document import Block, Document, Figure, Listing
from asymbp_cli.report.palette import DARK, LIGHT, write_variables
from asymbp_cli.report.result_table import ResultTable
from asymbp_cli.report.source import Rendered, Source
from asymbp_cli.report.text import short_title, split_code_spans

_TEMPLATE = Path(__file__).with_name("page.html")
_FOLDED = {
    "all rates": "All rates, and which were selected",
    "differences": "Differences to the paper",
    "uncertainty": "Differences to the baseline, and how sure they are",
}
_OPEN_DATASETS = 3  # figures of more datasets are folded, dataset by dataset


@dataclass(frozen=True)
class Part:
    """A block with a heading, and what belongs to it: figures by dataset, listings, and those that are closed."""

    id: str
    block: Block
    listings: list[Listing] = field(default_factory=list)
    figures: dict[str, list[Figure]] = field(default_factory=dict)
    folded: list[Listing] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """Return the name of its block's class."""
        return type(self.block).__name__

    @property
    def most_columns(self) -> int:
        """Return the number of columns of its widest table."""
        tables = (self.block, *self.listings, *self.folded)
        return max((len(table.header) for table in tables if isinstance(table, Listing | ResultTable)), default=0)

    @property
    def is_open(self) -> bool:
        """Return whether its figures are few enough to be seen at once."""
        return len(self.figures) <= _OPEN_DATASETS


def render_report(source: Source) -> Rendered:
    """Return the report, with its figures in it."""
    return Rendered(render(source.assemble(source.draw_figures())))


def render(document: Document) -> str:
    """Return the document as a page. Everything but our own figures is escaped: labels come from users' files."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(
        describe_axes=describe_axes,
        describe_cell=describe_cell,
        format_error=format_error,
        format_range=format_range,
        has_paper=has_paper,
        heading_of=heading_of,
        is_best=is_best,
        list_commands=list_commands,
        list_details=list_details,
        name_below=name_below,
        sign_of=sign_of,
        split_code_spans=split_code_spans,
        split_marks=split_marks,
        write_panels=write_panels,
        write_sample=write_sample,
    )
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    page = template.render(
        document=document,
        parts=group_blocks(document.blocks),
        light=write_variables(LIGHT),
        dark=write_variables(DARK),
        chart_rules=write_rules(".chart"),
    )
    return page.encode("utf-8", "replace").decode("utf-8")  # file names need not be Unicode; a page must be


def group_blocks(blocks: Sequence[Block]) -> list[Part]:
    """Return the parts of a page: figures, folded listings and those of its title belong to the block above."""
    parts: list[Part] = []
    for block in blocks:
        match block:
            case Figure() if parts:
                parts[-1].figures.setdefault(block.dataset, []).append(block)
            case Listing(folded=True) if parts:
                parts[-1].folded.append(block)
            case Listing() if parts and block.title.startswith(f"{heading_of(parts[-1].block)}: "):
                parts[-1].listings.append(block)
            case _:
                parts.append(Part(f"part-{len(parts) + 1}", block))
    return parts


def heading_of(block: Block) -> str:
    """Return a block's name in the contents: its title, or the beginning of a figure's caption."""
    return short_title(block.caption) if isinstance(block, Figure) else block.title


def name_below(listing: Listing, above: Block) -> str:
    """Return a listing's title without that of the block above it."""
    title = listing.title.removeprefix(f"{heading_of(above)}: ")
    return _FOLDED.get(title, title[:1].upper() + title[1:])


def write_panels(figure: Figure) -> list[str]:
    """Return the panels of a figure as elements of the page, each with its description."""
    chart = figure.chart
    if len(chart.panels) == 1 and not chart.panels[0].title:
        return [write_panel(chart, chart.panels[0], figure.alt)]
    return [write_panel(chart, panel, f"{panel.title}: {panel.alt}") for panel in chart.panels]


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
    mean = " in the mean over seeds" if cell.difference.seeds > 1 else ""
    return (
        f"{text}; {cell.difference.points:+z.2f} points from the baseline{mean}, "
        f"standard error {cell.difference.standard_error:.2f}"
    )
