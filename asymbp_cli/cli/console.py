"""Everything rich: the final table in the terminal, and the live display of a running study."""

import os
import shutil
import sys
from itertools import product

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from asymbp_cli.analysis.tables import Cell
from asymbp_cli.cli.progress import Board, duration
from asymbp_cli.report.parts import Listing
from asymbp_cli.report.sheet import Sheet, is_best, number, spread

_MOST_ROWS = 20  # of the live display
_NARROWEST = 20  # columns of a terminal in which a table can be shown
_STYLES = {"worse": "yellow", "better": "bright_blue", None: ""}
_SIGNS = {"worse": "▲", "better": "▼", None: ""}  # for pipes, NO_COLOR and those who see no colours


def make(*, stderr: bool) -> Console:
    """Return a console that prints text as it is.

    It is as wide as COLUMNS says, if that is a width for a table; else as the terminal, or 160 without one.
    """
    stream = sys.stderr if stderr else sys.stdout
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said) >= _NARROWEST:
        width = int(said)
    elif stream.isatty():
        width = max(shutil.get_terminal_size().columns, _NARROWEST) if not said else 80
    else:
        width = 160
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def show(console: Console, sheet: Sheet) -> None:
    """Print a sheet in the paper's layout, or with methods as rows where that would not fit."""
    table = _paper_layout(sheet)
    if console.measure(table).minimum > console.width or _natural_width(sheet) > console.width:
        table = _transposed(sheet)
    console.print(Text(sheet.title, style="bold"), soft_wrap=not console.is_terminal)
    console.print(table)
    for note in sheet.notes:
        console.print(Text(f"  {note}", style="dim"), soft_wrap=not console.is_terminal)
    if any(cell.colour or cell.paper_colour for _, cells in sheet.rows for cell in cells):
        console.print(Text("  ▲ marks yellow, ▼ blue, for those who see no colours.", style="dim"))


def show_listing(console: Console, listing: Listing) -> None:
    """Print a listing."""
    table = Table()
    for header in listing.header:
        table.add_column(Text(header))
    for row in listing.rows:
        table.add_row(*map(Text, row))
    console.print(Text(listing.title, style="bold"), soft_wrap=not console.is_terminal)
    console.print(table)
    for note in listing.notes:
        console.print(Text(f"  {note}", style="dim"), soft_wrap=not console.is_terminal)


def _natural_width(sheet: Sheet) -> int:
    label = max(len(label) for label, _ in sheet.rows)
    return label + 3 + sum(max(len(header), 6) + 3 for header in sheet.header)


def _paper_layout(sheet: Sheet) -> Table:
    table = Table(show_lines=sheet.has_paper)
    table.add_column("")
    for header in sheet.header:
        table.add_column(header, justify="right", no_wrap=True)
    for label, cells in sheet.rows:
        both = any(cell.paper is not None for cell in cells)
        name = Text(label + ("\npaper" if both else ""))
        table.add_row(name, *(_cell(cell, is_best(cell, cells), both) for cell in cells))
    return table


def _transposed(sheet: Sheet) -> Table:
    table = Table()
    table.add_column("")
    for label, cells in sheet.rows:
        table.add_column(label, justify="right")
        if any(cell.paper is not None for cell in cells):
            table.add_column("paper", justify="right")
    for i, header in enumerate(sheet.header):
        line: list[Text] = []
        for _, cells in sheet.rows:
            line.append(_own(cells[i], is_best(cells[i], cells)))
            if any(cell.paper is not None for cell in cells):
                line.append(_paper(cells[i]))
        table.add_row(Text(header), *line)
    return table


def _cell(cell: Cell, best: bool, both: bool) -> Text:
    text = _own(cell, best)
    return text.append("\n").append_text(_paper(cell)) if both else text


def _own(cell: Cell, best: bool) -> Text:
    if cell.error_percent is None:
        return Text("-", style="dim")
    style = _STYLES[cell.colour] + (" bold" if best else "")
    text = Text(_SIGNS[cell.colour] + number(cell), style=style)
    return text.append(f"\n{spread(cell)}", style="dim") if spread(cell) else text


def _paper(cell: Cell) -> Text:
    text = "-" if cell.paper is None else f"{_SIGNS[cell.paper_colour]}{cell.paper:.2f}"
    return Text(text, style=f"dim {_STYLES[cell.paper_colour]}".strip())


def live(board: Board) -> RenderableType:
    """Return the live display: progress, running stacks, best error so far per column."""
    bar = Table.grid()
    bar.add_row(ProgressBar(total=1.0, completed=board.share, width=72))
    parts: list[RenderableType] = [_headline(board), bar]
    parts += [Text(f"now: {line}", style="dim", no_wrap=True, overflow="ellipsis") for line in board.now()[:8]]
    if board.latest:
        parts.append(Text(f"last: {board.label(board.latest[0])}, epoch {board.latest[1]}", style="dim"))
    parts += [Text("best test error so far, percent", style="dim"), _best_so_far(board)]
    return Group(*parts)


def headline(board: Board) -> str:
    """Return one line: runs, share of the work, throughput, time to go."""
    return (
        f"{board.ended}/{len(board.remaining)} runs, {100 * board.share:.0f} % of the work, "
        f"{board.samples_per_second:,.0f} samples/s, {duration(board.seconds)} gone, "
        f"{board.to_go}"
    )


def _headline(board: Board) -> Text:
    return Text(headline(board), style="bold")


def _best_so_far(board: Board) -> Table:
    """Return methods as rows and datasets as columns; what several tables share stands there once."""
    table = Table(box=None)
    table.add_column("")
    labels = list(dict.fromkeys(row.label for grid in board.grids for row in grid.rows))
    for label in labels:
        table.add_column(label, justify="right")
    headers = list(dict.fromkeys(c.header for grid in board.grids for c in grid.columns))
    for header in headers[:_MOST_ROWS]:
        table.add_row(header, *(_best_of(board, header, label) for label in labels))
    if len(headers) > _MOST_ROWS:
        table.add_row(f"and {len(headers) - _MOST_ROWS} more")
    return table


def _best_of(board: Board, header: str, label: str) -> str:
    runs = {
        run.id
        for grid in board.grids
        for row, column in product(grid.rows, grid.columns)
        if row.label == label and column.header == header
        for run in grid.runs(row, column)
    }
    seen = [board.best[run] for run in runs if run in board.best]
    if not seen:
        return "-"
    best = min(100 * point.test_wrong / point.test_seen for point in seen)
    return f"{best:.2f}" + "*" * any(run in board.diverged for run in runs)
