"""`asymbp report`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from asymbp_cli.cli import options
from asymbp_cli.cli.waiting import say
from asymbp_cli.cli.write import SCREEN, check_output, is_replaceable, write_bytes, write_text
from asymbp_cli.errors import UsageError
from asymbp_cli.report.renderers import RENDERERS, choose_format, render
from asymbp_cli.text import printable

if TYPE_CHECKING:
    from asymbp_cli.report.source import Rendered


@click.command("report")
@click.option(
    "--to",
    "target",
    type=click.Choice(list(RENDERERS)),
    help="Format. Default: as the ending of --output says (.md, .html, .tex, .csv, .json), else markdown.",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    type=options.UserPath(dir_okay=False),
    metavar="FILE",
    help="File to write; - is standard output. May be repeated, with other endings. Default: standard output.",
)
@click.option("--fragment", is_flag=True, help="Write LaTeX without a preamble, for \\input in a paper of yours.")
@click.option(
    "--title",
    metavar="TITLE",
    help="Title of the report. Default: the paper's question, or the titles of your tables.",
)
@options.tables
@options.results
def command(
    target: str | None,
    outputs: tuple[Path, ...],
    fragment: bool,
    title: str | None,
    keys: tuple[str, ...],
    results_directory: Path,
) -> None:
    """Render every table and recipe that was requested, finished or not.

    In csv, text that a spreadsheet would compute (=...) has an apostrophe before it; numbers are numbers. Figures
    of markdown and LaTeX are files next to the report. mlrc is a skeleton of a paper for reproducibility tracks,
    in markdown: what the results say is filled in, and what only you know is marked TODO.

    \b
    Example:
      asymbp report --output results/report.md
      asymbp report --output results/report.html --output results/cells.csv
      asymbp report --output paper/tables.tex --fragment --table 2
      asymbp report --to mlrc --output results/reproduction.md
      asymbp report --to csv --table 2
    """
    from asymbp_cli.analysis.tables import fill_all, filter_grids
    from asymbp_cli.report.source import Source
    from asymbp_cli.results.store import Store

    formats = [(file, _check(file, target, results_directory)) for file in outputs or (SCREEN,)]
    if fragment and any(name != "latex" for _, name in formats):
        raise UsageError("--fragment belongs to LaTeX. Add --to latex, or end the name in .tex")
    with Store.open(results_directory, create=False, on_wait=say) as store:
        tables = fill_all(store, filter_grids(store.grids(), keys))
        rendered = [
            (file, render(name, Source(tables, store, _name_folder(file, name), title, fragment)))
            for file, name in formats
        ]
    for file, report in rendered:
        _write(report, file)


def _check(file: Path, target: str | None, results_directory: Path) -> str:
    """Return the format of a file; raises UsageError if it has none, or if it must not be written."""
    if file == SCREEN:
        return choose_format(None, target)
    if not file.name:
        raise UsageError("--output needs the name of a file, for instance report.md")
    check_output(file, results_directory)
    return choose_format(file, target)


def _name_folder(file: Path, name: str) -> str | None:
    """Return the folder of the figures next to a file; None if there can be none, as next to a pipe."""
    from asymbp_cli.report.source import name_figure_folder

    if file == SCREEN or not is_replaceable(file) or not printable(file.name):  # a link needs a name that is text
        return None
    return name_figure_folder(file, for_latex=name == "latex")


def _write(report: "Rendered", file: Path) -> None:
    for remark in report.remarks:
        click.echo(remark, err=True)
    for name, content in report.files.items():
        write_bytes(content, file.parent / name)
    write_text(report.text, None if file == SCREEN else file)
