"""The formats of reports. A further one is a file with a function `render_report`, and a line here."""

from collections.abc import Callable

from asymbp_cli.report import csv_records, html, json_records, latex, markdown
from asymbp_cli.report.source import Rendered, Source

#: name, as in --to -> function
RENDERERS: dict[str, Callable[[Source], Rendered]] = {
    "markdown": markdown.render_report,
    "html": html.render_report,
    "latex": latex.render_report,
    "csv": csv_records.render_report,
    "json": json_records.render_report,
}
