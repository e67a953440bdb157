"""Everything that needs rich: the final table in the terminal, and the live display of a running study."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import TextIO, TypeVar, cast

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from asymbp_cli.analysis.cells import Cell
from asymbp_cli.analysis.tables import select_epoch
from asymbp_cli.cli.progress import StudyProgress, format_duration
from asymbp_cli.cli.streams import SteeringStream
from asymbp_cli.report.cells import format_error, format_range, has_paper, is_best, list_details, sign_of
from asymbp_cli.report.document import Listing
from asymbp_cli.report.result_table import ResultTable
from asymbp_cli.text import escape_controls, is_number

T = TypeVar("T")
_UNLIMITED = 10_000  # columns: what a table would take
_MOST_ROWS = 20  # of the live display
_MOST_STACKS = 8  # of the live display
_NARROWEST = 20  # columns of a terminal that can show a table
_STYLES = {"worse": "yellow", "better": "bright_blue", None: ""}


class _Console(Console):
    """Escapes what would steer the terminal in all that is printed; only rich itself may."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else escape_controls(text), style, control)


def make_console(*, stderr: bool) -> Console:
    """Return a console that prints text as it is, with letters escaped that would steer the terminal."""
    stream = sys.stderr if stderr else sys.stdout
    width = _width(is_terminal=stream.isatty())
    file = cast(TextIO, SteeringStream(stream))
    return _Console(file=file, stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def _width(*, is_terminal: bool) -> int:
    """Return COLUMNS, if it is wide enough for a table; otherwise the terminal's width, or 160 without one."""
    columns = os.environ.get("COLUMNS", "")
    if is_number(columns) and int(columns) >= _NARROWEST:
        return int(columns)
    if not is_terminal:
        return 160
    return 80 if columns else max(shutil.get_terminal_size().columns, _NARROWEST)


def print_result_table(console: Console, table: ResultTable) -> None:
    """Print a table of results in the paper's layout, or with methods as rows if that would not fit."""
    layouts = [_paper_layout(table)]
    if console.measure(layouts[0]).minimum > console.width or _natural_width(table) > console.width:
        layouts = _cut(table.rows, partial(_transposed, table.header), console)
    legend = ["▲ marks yellow, ▼ blue, for those who see no colours."] if table.colours - {None} else []
    _print(console, table.title, layouts, [*table.notes, *legend])


def print_listing(console: Console, listing: Listing) -> None:
    """Print a listing, with its rows as columns if its words would not fit."""
    numeric = listing.numeric or (False,) * len(listing.header)
    table = Table()
    for header, is_numeric in zip(listing.header, numeric, strict=True):
        table.add_column(Text(header), justify="right" if is_numeric else "left")
    for row in listing.rows:
        table.add_row(*map(Text, row))
    tables = [table]
    if console.measure(table, options=console.options.update(width=_UNLIMITED)).minimum > console.width:
        tables = _cut(listing.rows, partial(_transposed_listing, listing.header), console)
    _print(console, listing.title, tables, listing.notes)


def _transposed_listing(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return rows of a listing as columns, the first value of each above."""
    first, *others = zip(header, *rows, strict=True)
    table = Table()
    for text in first:
        table.add_column(Text(text))
    for texts in others:
        table.add_row(*map(Text, texts))
    return table


def _print(console: Console, title: str, tables: Sequence[Table], notes: Sequence[str]) -> None:
    console.print(Text(title, style="bold"), soft_wrap=not console.is_terminal)
    for table in tables:
        console.print(table)
    for note in notes:
        console.print(Text(f"  {note}", style="dim"), soft_wrap=not console.is_terminal)


def _natural_width(table: ResultTable) -> int:
    names = [name for label, cells in table.rows for name in (label, *_line_names(cells))]
    return max(map(len, names)) + 3 + sum(max(len(header), 6) + 3 for header in table.header)


def _line_names(cells: Sequence[Cell]) -> list[str]:
    """Return the names of the lines below our errors."""
    return list(_lines(cells))[1:]


def _paper_layout(table: ResultTable) -> Table:
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
        if console.measure(piece, options=console.options.update(width=_UNLIMITED)).maximum > console.width:
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


def render_progress(progress: StudyProgress) -> RenderableType:
    """Return the live display: progress, running stacks, best error so far per column."""
    bar = Table.grid()
    bar.add_row(ProgressBar(total=1.0, completed=progress.share, width=72))
    parts: list[RenderableType] = [Text(_headline(progress), style="bold"), bar]
    for line in progress.describe_stacks()[:_MOST_STACKS]:
        parts.append(Text(f"now: {line}", style="dim", no_wrap=True, overflow="ellipsis"))
    if progress.latest:
        run_id, epoch = progress.latest
        parts.append(Text(f"last: {progress.describe_run(run_id)}, epoch {epoch}", style="dim"))
    parts += [Text("best test error so far, percent", style="dim"), _best_errors(progress)]
    return Group(*parts)


def _headline(progress: StudyProgress) -> str:
    """Return one line: runs, share of the work, throughput, remaining time."""
    return (
        f"{progress.ended}/{len(progress.remaining)} runs, {100 * progress.share:.0f} % of the work, "
        f"{progress.samples_per_second:,.0f} samples/s, {format_duration(progress.seconds)} gone, "
        f"{progress.remaining_time}"
    )


def _best_errors(progress: StudyProgress) -> Table:
    """Return methods as rows and datasets as columns; what several tables share is listed once."""
    table = Table(box=None)
    table.add_column("")
    labels = list(dict.fromkeys(row.label for grid in progress.grids for row in grid.rows))
    for label in labels:
        table.add_column(label, justify="right")
    headers = list(dict.fromkeys(column.header for grid in progress.grids for column in grid.columns))
    for header in headers[:_MOST_ROWS]:
        table.add_row(header, *(_best_error(progress, header, label) for label in labels))
    if len(headers) > _MOST_ROWS:
        table.add_row(f"and {len(headers) - _MOST_ROWS} more")
    return table


def _best_error(progress: StudyProgress, header: str, label: str) -> str:
    """Return the test error of the epoch that the rule selects among all runs of a cell, so far."""
    runs = {
        run.id: run
        for grid in progress.grids
        for row, column in product(grid.rows, grid.columns)
        if row.label == label and column.header == header
        for run in grid.runs(row, column)
    }
    selected = select_epoch(
        (progress.best[run_id], run) for run_id, run in runs.items() if run_id in progress.best
    )
    if selected is None:
        return "-"
    point, _ = selected
    mark = "*" if runs.keys() & progress.diverged else ""
    return f"{100 * point.test_wrong / point.test_seen:.2f}{mark}"
