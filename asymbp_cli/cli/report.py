"""`asymbp report`."""

from pathlib import Path

import click

from asymbp_cli.cli import options
from asymbp_cli.cli.write import check_output, is_replaceable, write_bytes, write_text
from asymbp_cli.report.renderers import RENDERERS, render


@click.command("report")
@click.option(
    "--to",
    "target",
    type=click.Choice(list(RENDERERS)),
    default="markdown",
    show_default=True,
    help="Format.",
)
@click.option("--output", type=options.UserPath(dir_okay=False), help="File to write. Default: standard output.")
@click.option("--title", help="Title of the report. Default: the paper's question, or the titles of your tables.")
@options.tables
@options.results
def command(
    target: str, output: Path | None, title: str | None, keys: tuple[str, ...], results_directory: Path
) -> None:
    """Render every table and recipe that was requested, finished or not.

    In csv, text that a spreadsheet would compute (=...) has an apostrophe before it; numbers are numbers.

    \b
    Example:
      asymbp report --to markdown --output results/report.md
      asymbp report --to html --output results/report.html
      asymbp report --to csv --table 2
    """
    from asymbp_cli.analysis.tables import fill_all, filter_grids
    from asymbp_cli.errors import UsageError
    from asymbp_cli.report.source import Source, name_figure_folder
    from asymbp_cli.results.store import Store
    from asymbp_cli.text import printable

    if output is not None and not output.name:
        raise UsageError("--output needs the name of a file, for instance report.md")
    if output is not None:
        check_output(output)
    has_files = output is not None and is_replaceable(output) and printable(output.name)  # not next to a pipe
    folder = name_figure_folder(output) if output and has_files else None  # a link needs a name that is text
    with Store.open(results_directory, create=False) as store:
        tables = fill_all(store, filter_grids(store.grids(), keys))
        rendered = render(target, Source(tables, store, folder, title))
    if output:
        for name, content in rendered.files.items():
            write_bytes(content, output.parent / name)
    write_text(rendered.text, output)
