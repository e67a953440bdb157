"""The formats of reports. A further one is a file with a function `render_report`, and a line here."""

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from asymbp_cli.text import escape_controls

if TYPE_CHECKING:
    from asymbp_cli.report.source import Rendered, Source

#: name, as in --to -> file in this folder. It is imported when it is used: the names alone must be known fast.
RENDERERS = {
    "markdown": "markdown",
    "html": "html",
    "latex": "latex",
    "csv": "csv_records",
    "json": "json_records",
}


def render(name: str, source: "Source") -> "Rendered":
    """Return a report in the format of that name; `escape_controls` says what no name in it can do."""
    rendered: Rendered = import_module(f"asymbp_cli.report.{RENDERERS[name]}").render_report(source)
    return replace(rendered, text=escape_controls(rendered.text))
