"""Tables as CSV.

A spreadsheet computes what begins with one of = + - @, even `=HYPERLINK(...)`, and names may come from files of
others. So text that begins so gets an apostrophe before it, which tells spreadsheets that it is text. Numbers stay
numbers, and json has every name unchanged.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.report.records import make_records
from asymbp_cli.report.source import Rendered, Source
from asymbp_cli.text import escape_controls

#: how a formula begins, also in the wide letters of Chinese and Japanese; spaces before it do not matter
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")


def render_report(source: Source) -> Rendered:
    """Return all cells of all tables."""
    return Rendered(render(source.tables))


def render(tables: Sequence[FilledGrid]) -> str:
    """Return all cells of all tables under one header line."""
    records = list(chain.from_iterable(make_records(tables)))
    return write_csv(list(records[0]), records) if records else ""


def write_csv(columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> str:
    """Return records with these columns under one header line; None is an empty value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_as_text, columns))
    writer.writerows([_as_text(record[name]) for name in columns] for record in records)
    return text.getvalue()


def _as_text(value: Any) -> Any:
    """Return a value that no spreadsheet takes for a formula; text on one line."""
    if not isinstance(value, str):
        return value
    return escape_controls(f"'{value}" if _FORMULA.match(value) else value, keep="")
