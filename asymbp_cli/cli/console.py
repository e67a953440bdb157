"""What commands print on a terminal or elsewhere: tables of results, and listings."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TextIO, TypeVar, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from asymbp_cli.analysis.cells import Cell
from asymbp_cli.cli.layout import lay_out, lay_out_facts, wrap
from asymbp_cli.cli.streams import UNLIMITED, SteeringStream, measure_terminal
from asymbp_cli.report.cells import format_error, format_range, has_paper, is_best, list_details, sign_of
from asymbp_cli.report.document import Listing
from asymbp_cli.text import escape_controls

if TYPE_CHECKING:
    from asymbp_cli.report.result_table import ResultTable

T = TypeVar("T")
_STYLES = {"worse": "yellow", "better": "bright_blue", None: ""}


class _Console(Console):
    """Escapes what would steer the terminal in all that is printed; only rich itself may."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else escape_controls(text), style, control)


def make_console(*, stderr: bool) -> Console:
    """Return a console that prints text as it is, with letters escaped that would steer the terminal."""
    stream = sys.stderr if stderr else sys.stdout
    file = cast(TextIO, SteeringStream(stream))
    width = measure_terminal(stream)[0]
    return _Console(file=file, stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def print_result_table(console: Console, table: "ResultTable", above: Sequence[str] = ()) -> None:
    """Print a table of results in the paper's layout, or with methods as rows if that would not fit.

    On a terminal its notes come first, then the lines `above`, so that the table is what is seen last.
    """
    layouts = [_paper_layout(table)]
    if console.measure(layouts[0]).minimum > console.width or _natural_width(table) > console.width:
        layouts = _cut(table.rows, partial(_transposed, table.header), console)
    legend = ["▲ marks yellow, ▼ blue, for those who see no colours."] if table.colours - {None} else []
    notes = (*table.notes, *legend)
    if console.is_terminal:
        _print_notes(console, notes)
        console.print()
    for line in above:
        print_text(console, line)
    print_text(console, table.title, "bold")
    for layout in layouts:
        console.print(layout)
    if not console.is_terminal:
        _print_notes(console, notes)


def print_listing(console: Console, listing: Listing, *, wide: bool = False) -> None:
    """Print a listing in the width of the console; if `wide`, with every column, each row in a line."""
    layout = lay_out(listing, UNLIMITED if wide else console.width)
    notes = listing.notes
    if layout.left_out:
        notes = (*notes, f"Left out: {', '.join(layout.left_out)}. Add --wide to see everything.")
    if listing.title:
        print_text(console, listing.title, "bold")
    console.print(Text("\n".join(layout.lines)), soft_wrap=True)
    _print_notes(console, notes)


def print_listings(console: Console, listings: Iterable[Listing]) -> None:
    """Print listings with an empty line between them."""
    for number, listing in enumerate(listings):
        if number:
            console.print()
        print_listing(console, listing)


def print_facts(console: Console, facts: Sequence[tuple[str, str]]) -> None:
    """Print names and texts in two columns."""
    console.print(Text("\n".join(lay_out_facts(facts, console.width))), soft_wrap=True)


def print_text(console: Console, text: str, style: str = "", indent: str = "") -> None:
    """Print a text, wrapped between words: a path is never broken."""
    lines = (f"{indent}{line}" for line in wrap(text, console.width - len(indent)))
    console.print(Text("\n".join(lines), style=style), soft_wrap=True)


def _print_notes(console: Console, notes: Sequence[str]) -> None:
    for note in notes:
        print_text(console, note, "dim", indent="  ")


def _natural_width(table: "ResultTable") -> int:
    names = [name for label, cells in table.rows for name in (label, *_line_names(cells))]
    return max(map(len, names)) + 3 + sum(max(len(header), 6) + 3 for header in table.header)


def _line_names(cells: Sequence[Cell]) -> list[str]:
    """Return the names of the lines below our errors."""
    return list(_lines(cells))[1:]


def _paper_layout(table: "ResultTable") -> Table:
    """Return the table with datasets as rows, as in the paper."""
    layout = Table(show_lines=any(_line_names(cells) for _, cells in table.rows))
    layout.add_column("")
    for header in table.header:
        layout.add_column(header, justify="right", no_wrap=True)
    for label, cells in table.rows:
        lines = _lines(cells)
        texts = (Text("\n").join(line) for line in zip(*lines.values(), strict=True))
        name = Text(label)
        for line_name in _line_names(cells):
            name.append(f"\n{line_name}", style="dim")
        layout.add_row(name, *texts)
    return layout


def _cut(items: Sequence[T], make: Callable[[Sequence[T]], Table], console: Console) -> list[Table]:
    """Return the table that `make` makes of items, in as many pieces as the console needs."""
    pieces = [make(items[:1])]
    start = 0
    for end in range(2, len(items) + 1):
        piece = make(items[start:end])
        if console.measure(piece, options=console.options.update(width=UNLIMITED)).maximum > console.width:
            start = end - 1
            pieces.append(make(items[start:end]))
        else:
            pieces[-1] = piece
    return pieces


def _transposed(header: Sequence[str], rows: Sequence[tuple[str, tuple[Cell, ...]]]) -> Table:
    """Return rows of a table of results with methods as rows."""
    layout = Table()
    layout.add_column("")
    columns: list[list[Text]] = []
    for label, cells in rows:
        for name, texts in _lines(cells).items():
            layout.add_column(name or label, justify="right", header_style="dim" if name else None)
            columns.append(texts)
    for method, *texts in zip(map(Text, header), *columns, strict=True):
        layout.add_row(method, *texts)
    return layout


def _lines(cells: Sequence[Cell]) -> dict[str, list[Text]]:
    """Return the lines of a row by name, a text per cell: ours (without a name), range, the paper's, details."""
    lines = {"": [_ours(cell, is_best(cell, cells)) for cell in cells]}
    if any(map(format_range, cells)):
        lines["range"] = [Text(format_range(cell), style="dim") for cell in cells]
    if has_paper(cells):
        lines["paper"] = [_papers(cell) for cell in cells]
    for detail in list_details(cells):
        lines[detail.name] = [Text(text, style="dim") for text in detail.texts]
    return lines


def _ours(cell: Cell, best: bool) -> Text:
    if cell.error_percent is None:
        return Text("-", style="dim")
    style = _STYLES[cell.colour] + (" bold" if best else "")
    return Text(sign_of(cell.colour, hollow=cell.hollow) + format_error(cell), style=style)


def _papers(cell: Cell) -> Text:
    sign = sign_of(cell.paper_colour, hollow=cell.paper_hollow)
    text = "-" if cell.paper is None else f"{sign}{cell.paper:.2f}"
    return Text(text, style=f"dim {_STYLES[cell.paper_colour]}".strip())
