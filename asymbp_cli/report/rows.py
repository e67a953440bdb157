"""Sheets as flat records, counts beside percentages: for csv, and for the last line of --json."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from asymbp_cli.tables import FilledGrid


def records(filled: FilledGrid) -> list[dict[str, Any]]:
    """Return one flat record per cell and seed; one record where a cell has no result yet."""
    grid = filled.grid
    return [
        {
            "table": grid.key,
            "dataset": row.label,
            "column": column.header,
            "seed": pick.seed if pick else None,
            "error_percent": round(pick.error_percent, 4) if pick else None,
            "wrong": pick.wrong if pick else None,
            "seen": pick.seen if pick else None,
            "median_percent": None if cell.error_percent is None else round(cell.error_percent, 4),
            "paper_percent": cell.paper,
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
        }
        for row, cells in zip(grid.rows, filled.cells, strict=True)
        for column, cell in zip(grid.columns, cells, strict=True)
        for pick in cell.picks or (None,)
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
