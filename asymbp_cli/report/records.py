"""Tables and listings as data: flat records, with counts next to percentages."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from asymbp_cli.analysis.cells import Cell, Pick
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.analysis.uncertainty import standard_error
from asymbp_cli.recipe.grid import Grid, GridColumn, GridRow
from asymbp_cli.recipe.labels import name_tables
from asymbp_cli.report.document import Listing
from asymbp_cli.results.summaries import RunDetail, RunSummary


def make_records(tables: Sequence[FilledGrid]) -> list[list[dict[str, Any]]]:
    """Return the records of each table: one per cell and seed; a cell without results has one record."""
    names = name_tables([filled.grid for filled in tables])
    return [_make_records(name, filled) for name, filled in zip(names, tables, strict=True)]


def _make_records(name: str, filled: FilledGrid) -> list[dict[str, Any]]:
    return [
        {"table": name, **_record(filled.grid, row, column, cell, pick)}
        for row, cells in zip(filled.grid.rows, filled.cells, strict=True)
        for column, cell in zip(filled.grid.columns, cells, strict=True)
        for pick in cell.picks or (None,)
    ]


def _record(grid: Grid, row: GridRow, column: GridColumn, cell: Cell, pick: Pick | None) -> dict[str, Any]:
    return {
        "dataset": row.label,
        "column": column.header,
        "seed": pick.seed if pick else None,
        "error_percent": round_value(pick.error_percent if pick else None),
        "wrong": pick.wrong if pick else None,
        "seen": pick.seen if pick else None,
        "median_percent": round_value(cell.error_percent),
        "paper_percent": cell.paper,
        "difference_points": _difference(cell),
        "colour": cell.colour,
        "paper_colour": cell.paper_colour,
        "rate_multiplier": pick.rate_multiplier if pick else None,
        "epoch": pick.epoch if pick else None,
        "collapsed": pick.collapsed if pick else None,
        "runs_done": cell.ended,
        "runs_wanted": cell.wanted,
        "runs_diverged": cell.diverged,
        "reason": cell.reason,
        "protocol": grid.protocol_label,
        "procedures": column.note,
        "run": pick.run if pick else None,
        "standard_error_points": round_value(standard_error(pick.error_percent, pick.seen) if pick else None),
        "baseline_difference_points": round_value(cell.difference.points if cell.difference else None),
        "baseline_standard_error_points": round_value(cell.difference.standard_error if cell.difference else None),
        "hollow": cell.hollow,
        "paper_hollow": cell.paper_hollow,
        "last_epoch_percent": round_value(pick.last_percent if pick and pick.last_epoch else None),
        "held_out_difference_points": round_value(cell.rule_difference),
        "lowest_percent": round_value(min(cell.errors_by_seed.values(), default=None)),
        "highest_percent": round_value(max(cell.errors_by_seed.values(), default=None)),
        "seeds_done": len(cell.picks),
        "median_standard_error_points": round_value(cell.standard_error),
        "command": cell.command,
    }


def make_rate_records(filled: FilledGrid) -> list[dict[str, Any]]:
    """Return a record for each run of a table that has an epoch: its error, and whether it was selected."""
    return [
        {
            "dataset": row.label,
            "column": column.header,
            "procedure": one.procedure + 1,
            "rate_multiplier": one.rate_multiplier,
            "seed": one.seed,
            "error_percent": round_value(one.error_percent),
            "wrong": one.wrong,
            "seen": one.seen,
            "epoch": one.epoch,
            "selected": any(one.run == pick.run for pick in cell.picks),
            "collapsed": one.collapsed,
            "diverged": one.diverged,
            "run": one.run,
        }
        for row, cells in zip(filled.grid.rows, filled.cells, strict=True)
        for column, cell in zip(filled.grid.columns, cells, strict=True)
        for one in cell.trained
    ]


def round_value(value: float | None) -> float | None:
    """Return a number as records have percentages and points: with 4 digits after the point, and no -0.0."""
    return None if value is None else round(value, 4) + 0.0


def drop_infinite(value: Any) -> Any:
    """Return None for a float that is infinite or not a number, which JSON does not have; else the value."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def make_event_record(event: Any) -> dict[str, Any]:
    """Return the fields of an event, a dataclass, as `--json` prints them."""
    return {name: drop_infinite(value) for name, value in asdict(event).items()}


def make_run_record(detail: RunDetail) -> dict[str, Any]:
    """Return all that is stored about a run. Times are seconds since 1970."""
    return {
        "summary": make_summary_record(detail.summary),
        "spec": detail.run.model_dump(mode="json"),
        "attempts": [asdict(attempt) for attempt in detail.attempts],
        "epochs": [make_event_record(epoch) for epoch in detail.epochs],
    }


def make_summary_record(summary: RunSummary) -> dict[str, Any]:
    """Return a run as a list of runs has it."""
    return asdict(summary) | {"best": _make_best_record(summary)}


def _make_best_record(summary: RunSummary) -> dict[str, Any] | None:
    """Return the test error of the epoch that the rule selects."""
    if summary.best is None:
        return None
    wrong, seen, epoch = summary.best
    return {"epoch": epoch, "error_percent": round_value(summary.best_percent), "wrong": wrong, "seen": seen}


def _difference(cell: Cell) -> float | None:
    if cell.error_percent is None or cell.paper is None or not cell.complete:
        return None
    return round_value(cell.error_percent - cell.paper)


def make_listing_record(listing: Listing) -> dict[str, Any]:
    """Return a listing as its title and rows."""
    return {"title": listing.title, "rows": [dict(zip(listing.header, row, strict=True)) for row in listing.rows]}
