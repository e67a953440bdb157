"""Tables and listings as JSON."""

import json
from collections.abc import Sequence
from typing import Any

from asymbp_cli import __version__
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.report.citation import CITATION
from asymbp_cli.report.compute_listing import make_compute_records
from asymbp_cli.report.document import Document, Listing
from asymbp_cli.report.footnotes import write_footnotes
from asymbp_cli.report.records import make_listing_record, make_rate_records, make_records
from asymbp_cli.report.source import Rendered, Source
from asymbp_cli.results.summaries import Effort


def render_report(source: Source) -> Rendered:
    """Return all tables and listings."""
    return Rendered(render(source.tables, source.assemble(), source.store.efforts()))


def render(tables: Sequence[FilledGrid], document: Document, efforts: Sequence[Effort] = ()) -> str:
    """Return all tables with their cells and compute, and the document's listings, as one JSON object."""
    content = {
        "asymbp": __version__,
        "title": document.title,
        "summary": list(document.summary),
        "tables": [
            {**_table(filled, records), "compute": make_compute_records(efforts, filled.grid.all_runs())}
            for filled, records in zip(tables, make_records(tables), strict=True)
        ],
        "compute": make_compute_records(efforts),
        "citation": CITATION,
        "listings": [make_listing_record(block) for block in document.blocks if isinstance(block, Listing)],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _table(filled: FilledGrid, records: list[dict[str, Any]]) -> dict[str, Any]:
    grid = filled.grid
    return {
        "key": grid.key,
        "title": grid.title,
        "protocol": grid.protocol.model_dump(mode="json"),
        "protocol_label": grid.protocol_label,
        "rule": "held-out" if grid.validation_fraction else "paper",
        "seeds": list(grid.seeds),
        "notes": list(write_footnotes(filled)),
        "cells": records,
        "rates": make_rate_records(filled),
    }
