"""Tables as CSV."""

import csv
import io
from collections.abc import Sequence
from itertools import chain

from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.report.records import make_records
from asymbp_cli.report.source import Rendered, Source


def render_report(source: Source) -> Rendered:
    """Return all cells of all tables."""
    return Rendered(render(source.tables))


def render(tables: Sequence[FilledGrid]) -> str:
    """Return all cells of all tables under one header line."""
    records = list(chain.from_iterable(make_records(tables)))
    if not records:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
