"""The formats of reports. A further one is a file with a function `render_report`, and a line here."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from asymbp_cli.errors import UsageError
from asymbp_cli.text import escape_controls, printable_path

if TYPE_CHECKING:
    from asymbp_cli.report.source import Rendered, Source


class Format(NamedTuple):
    """A format: its file in this folder, and the endings of files that have it."""

    module: str
    endings: tuple[str, ...]


#: by name, as in --to. Its file is imported when it is used: the names alone must be known fast.
RENDERERS = {
    "markdown": Format("markdown", (".md", ".markdown")),
    "html": Format("html", (".html", ".htm")),
    "latex": Format("latex", (".tex", ".latex")),
    "csv": Format("csv_records", (".csv",)),
    "json": Format("json_records", (".json",)),
    "mlrc": Format("mlrc", (".md", ".markdown")),
}

_FIGURES = (".pdf", ".svg", ".png", ".eps", ".jpg", ".jpeg")


def choose_format(output: Path | None, asked: str | None) -> str:
    """Return the format of a file: the one that is asked for, else that of its ending, else markdown.

    Raises UsageError if the ending is that of another format, or of none that is known.
    """
    ending = output.suffix.lower() if output else ""
    having = [name for name, known in RENDERERS.items() if ending in known.endings]
    if asked and having and asked not in having:
        owner, ending_of_asked = having[0], RENDERERS[asked].endings[0]
        raise UsageError(
            f"{printable_path(output or '')} ends as {owner} does, and --to {asked} contradicts it. Leave --to "
            f"out, or end the name in {ending_of_asked}"
        )
    if asked or not ending:
        return asked or "markdown"
    if not having:
        if ending in _FIGURES:
            raise UsageError(
                f"{printable_path(output or '')}: figures are not written alone, but next to a report: as SVG and "
                "PNG if its name ends in .md, as PDF if in .tex"
            )
        endings = dict.fromkeys(known.endings[0] for known in RENDERERS.values())
        raise UsageError(
            f"{printable_path(output or '')}: no format has the ending {printable_path(ending)}. End the name in "
            f"{', '.join(endings)}, or name a format with --to"
        )
    return having[0]


def render(name: str, source: "Source") -> "Rendered":
    """Return a report in the format of that name; `escape_controls` says what no name in it can do."""
    rendered: Rendered = import_module(f"asymbp_cli.report.{RENDERERS[name].module}").render_report(source)
    return replace(rendered, text=escape_controls(rendered.text))
