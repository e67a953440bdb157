"""A cell on its own: its number, where it comes from, its runs, and the command that trains it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asymbp_cli.analysis.cells import Cell
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.cell_commands import NO_COMMAND
from asymbp_cli.recipe.grid import GridColumn, GridRow
from asymbp_cli.report.cells import format_error
from asymbp_cli.report.document import Listing
from asymbp_cli.report.records import make_records, make_summary_record
from asymbp_cli.report.text import head_tables
from asymbp_cli.results.summaries import RunSummary
from asymbp_cli.text import count, nearest

Summaries = Mapping[str, RunSummary]


@dataclass(frozen=True)
class CellPage:
    """A cell with its place, its record for programs, and summaries of its runs."""

    table: str
    protocol: str
    row: GridRow
    column: GridColumn
    cell: Cell
    records: tuple[Mapping[str, Any], ...]  # one for each seed
    runs: tuple[str, ...]  # ids


def find_cells(tables: Sequence[FilledGrid], columns: Sequence[str]) -> list[CellPage]:
    """Return the cells of tables in the columns of these names, or in all; raises UsageError if there is none."""
    wanted = {name.lower() for name in columns}
    known = dict.fromkeys(column.header for filled in tables for column in filled.grid.columns)
    for name in columns:
        if name.lower() not in map(str.lower, known):
            listed = ", ".join(f'"{header}"' for header in known)
            raise UsageError(f'no results with the column "{name}".{nearest(name, known)} Available: {listed}')
    names = head_tables([filled.grid for filled in tables])
    all_records = make_records(tables)
    return [
        page
        for name, filled, records in zip(names, tables, all_records, strict=True)
        for page in _pages(name, filled, records)
        if not wanted or page.column.header.lower() in wanted
    ]


def _pages(name: str, filled: FilledGrid, records: Sequence[Mapping[str, Any]]) -> Iterator[CellPage]:
    grid = filled.grid
    for row, cells in zip(grid.rows, filled.cells, strict=True):
        for column, cell in zip(grid.columns, cells, strict=True):
            place = (row.label, column.header)
            own = tuple(record for record in records if (record["dataset"], record["column"]) == place)
            runs = tuple(run.id for run in grid.runs(row, column))
            yield CellPage(name, grid.protocol_label, row, column, cell, own, runs)


def describe_page(page: CellPage) -> Iterator[str]:
    """Yield the lines that say what a cell's number is, and how to get it again."""
    cell = page.cell
    yield f"{page.column.header} on {page.row.label}, {page.table}, protocol {page.protocol}"
    if cell.error_percent is None:
        yield f"no number: {cell.reason}"
    else:
        seeds = f", median of {len(cell.picks)} seeds" if len(cell.picks) > 1 else ""
        yield f"test error: {format_error(cell)} %, standard error {cell.standard_error:.2f} points{seeds}"
    for pick in cell.picks:
        yield (
            f"  seed {pick.seed}: {pick.error_percent:.2f} %, {pick.wrong:,} of {pick.seen:,} wrong, in epoch "
            f"{pick.epoch} of run {pick.run}, rate x{pick.rate_multiplier:g}"
        )
    if cell.paper is not None:
        minus = (
            ""
            if cell.error_percent is None
            else f"; ours minus that: {cell.error_percent - cell.paper:+z.2f} points"
        )
        yield f"the paper: {cell.paper:.2f} %{minus}"
    diverged = f", {cell.diverged} diverged" if cell.diverged else ""
    yield f"runs: {cell.ended} of {cell.wanted} done{diverged}"
    if page.column.note:
        yield f"column: {page.column.note}"
    if cell.command:
        yield f"to train it alone: {cell.command}"
    elif cell.wanted:
        yield NO_COMMAND


def list_runs(page: CellPage, summaries: Summaries) -> Listing:
    """Return the runs of a cell, those that are not there yet too."""
    picked = {pick.run: pick for pick in page.cell.picks}
    rows = [
        (
            run.id,
            run.method,
            f"{run.rate_multiplier:g}",
            f"{run.seed}",
            run.progress,
            "-" if run.best_percent is None else f"{run.best_percent:.2f}",
            f"{run.best[2]}" if run.best else "-",
            "picked" if run.id in picked else "",
        )
        for run_id in page.runs
        if (run := summaries.get(run_id))
    ]
    missing = len(page.runs) - len(rows)
    notes = (f"Not begun: {count(missing, 'run')}.",) if missing else ()
    header = ("run", "method", "rate x", "seed", "state", "selected error %", "in epoch", "")
    return Listing("Runs", header, tuple(rows), notes)


def make_page_record(page: CellPage, summaries: Summaries) -> dict[str, Any]:
    """Return a cell for programs: a line of `report --to csv` for each seed, and its runs."""
    runs = [make_summary_record(summaries[run_id]) for run_id in page.runs if run_id in summaries]
    return {"cells": list(page.records), "runs": runs}
