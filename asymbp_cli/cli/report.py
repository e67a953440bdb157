"""`asymbp report`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from asymbp_cli.cli import options
from asymbp_cli.cli.write import is_replaceable, write_bytes, write_text

if TYPE_CHECKING:
    from asymbp_cli.analysis.tables import FilledGrid
    from asymbp_cli.report.parts import Figure
    from asymbp_cli.results.store import Store


@click.command("report")
@click.option(
    "--to",
    "target",
    type=click.Choice(["markdown", "html", "latex", "csv", "json"]),
    default="markdown",
    show_default=True,
    help="Format.",
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write. Default: standard output."
)
@click.option("--table", "keys", multiple=True, metavar="KEY", help="Only these tables (2, or a recipe's name).")
@options.results
def command(target: str, output: Path | None, keys: tuple[str, ...], results_directory: Path) -> None:
    """Render every table and recipe that has been asked for, finished or not.

    \b
    Example:
      asymbp report --to markdown --output results/report.md
      asymbp report --to html --output results/report.html
      asymbp report --to csv --table 2
    """
    from asymbp_cli.analysis.tables import chosen, fill_all
    from asymbp_cli.errors import UsageError
    from asymbp_cli.results.store import Store

    if output is not None and not output.name:
        raise UsageError("--output needs the name of a file, for instance report.md")

    with Store.open(results_directory, create=False) as store:
        tables = fill_all(store, chosen(store.grids(), keys))
        text = _rendered(target, tables, store, output)
    write_text(text, output)


def _rendered(target: str, tables: list["FilledGrid"], store: "Store", output: Path | None) -> str:
    """Return the report; markdown in a file has its figures in a folder beside it, html in itself."""
    from asymbp_cli.report import html, latex, markdown, records
    from asymbp_cli.report.document import document, figure_directory

    if target == "csv":
        return records.as_csv(tables)
    beside = output if target == "markdown" and output and is_replaceable(output) else None
    drawn = _figures(tables, store) if target == "html" or beside else ()
    found = document(tables, store, drawn)
    if target == "json":
        return records.as_json(tables, found)
    if beside:
        folder = figure_directory(beside)
        for figure in drawn:
            write_bytes(figure.svg.encode(), folder / f"{figure.name}.svg")
            write_bytes(figure.png, folder / f"{figure.name}.png")
        return markdown.render(found, folder.name)
    return {"markdown": markdown.render, "html": html.render, "latex": latex.render}[target](found)


def _figures(tables: list["FilledGrid"], store: "Store") -> tuple["Figure", ...]:
    from asymbp_cli.report.figures import figures

    return figures(tables, store.epochs({run_id for filled in tables for run_id in filled.grid.all_runs()}))
