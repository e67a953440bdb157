"""`asymbp report`."""

from pathlib import Path

import click

from asymbp_cli.cli import options


@click.command("report")
@click.option(
    "--to", "target", type=click.Choice(["markdown", "csv"]), default="markdown", show_default=True, help="Format."
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
      asymbp report --to csv --table 2
    """
    from asymbp_cli.cli.execute import fill_all
    from asymbp_cli.cli.write import write_text
    from asymbp_cli.errors import UsageError, nearest
    from asymbp_cli.report.document import document
    from asymbp_cli.report.rows import as_csv
    from asymbp_cli.store import Store

    with Store.open(results_directory, create=False) as store:
        grids = store.grids()
        if not grids:
            raise UsageError(
                f"nothing has been trained in {results_directory}/ yet; type asymbp reproduce --table 2"
            )
        known = list(dict.fromkeys(grid.key for grid in grids))
        for key in keys:
            if not any(_matches(name, key) for name in known):
                hint = nearest(key, [name.partition("-")[2] for name in known])
                raise UsageError(f'nothing was trained for table "{key}".{hint} There is: {", ".join(known)}')
        chosen = [grid for grid in grids if not keys or any(_matches(grid.key, key) for key in keys)]
        tables = fill_all(store, chosen)
        text = as_csv(tables) if target == "csv" else document(tables, store)
    write_text(text, output)


def _matches(name: str, key: str) -> bool:
    return name in (key, f"table-{key}", f"recipe-{key}") or name.startswith(f"table-{key}-")
