"""Tables as data: flat records with counts beside percentages, as csv and json."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from asymbp_cli import __version__
from asymbp_cli.analysis.tables import Cell, FilledGrid
from asymbp_cli.report.parts import Document, Listing
from asymbp_cli.report.sheet import notes


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


def _difference(cell: Cell) -> float | None:
    if cell.error_percent is None or cell.paper is None or not cell.complete:
        return None
    return round(cell.error_percent - cell.paper, 4)


def as_json(tables: Sequence[FilledGrid], document: Document) -> str:
    """Return all tables with their cells, and the document's listings, as one JSON object."""
    content = {
        "asymbp": __version__,
        "tables": [_table(filled) for filled in tables],
        "listings": [as_records(part) for part in document.parts if isinstance(part, Listing)],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_records(listing: Listing) -> dict[str, Any]:
    """Return a listing as its title and rows."""
    return {"title": listing.title, "rows": [dict(zip(listing.header, row, strict=True)) for row in listing.rows]}


def _table(filled: FilledGrid) -> dict[str, Any]:
    grid = filled.grid
    return {
        "key": grid.key,
        "title": grid.title,
        "protocol": grid.protocol.model_dump(mode="json"),
        "protocol_label": grid.protocol_label,
        "rule": "held-out" if grid.validation_fraction else "paper",
        "seeds": list(grid.seeds),
        "notes": list(notes(filled)),
        "cells": records(filled),
    }
