"""Sheets as flat records, counts beside percentages: for csv, and for the last line of --json."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from asymbp_cli.tables import FilledGrid


def records(filled: FilledGrid) -> list[dict[str, Any]]:
    """Return one flat record per cell."""
    grid = filled.grid
    return [
        {
            "table": grid.key,
            "dataset": row.label,
            "column": column.header,
            "error_percent": None if cell.error_percent is None else round(cell.error_percent, 4),
            "wrong": cell.wrong,
            "seen": cell.seen or None,
            "paper_percent": cell.paper,
            "colour": cell.colour,
            "paper_colour": cell.paper_colour,
            "rate_multiplier": cell.rate_multiplier or None,
            "epoch": cell.epoch or None,
            "collapsed": cell.collapsed,
            "runs_done": cell.ended,
            "runs_wanted": cell.wanted,
            "runs_diverged": cell.diverged,
            "protocol": grid.protocol_label,
            "run": cell.run,
        }
        for row, cells in zip(grid.rows, filled.cells, strict=True)
        for column, cell in zip(grid.columns, cells, strict=True)
    ]


def as_csv(tables: Sequence[FilledGrid]) -> str:
    """Return all cells of all tables as csv with a header line."""
    rows = [record for filled in tables for record in records(filled)]
    if not rows:
        return ""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
