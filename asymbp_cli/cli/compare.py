"""`asymbp compare`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asymbp_cli.cli import options

if TYPE_CHECKING:
    from asymbp_cli.report.comparison import Side


@click.command("compare")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--table", "keys", multiple=True, metavar="KEY", help="Only these tables (2, or a recipe's name).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@options.results
def command(first: str, second: str, keys: tuple[str, ...], as_json: bool, results_directory: Path) -> None:
    """Compare two results cell by cell. A and B are directories of results, protocols of those in --results, or
    both, as DIR:PROTOCOL.

    \b
    Example:
      asymbp compare results other-results
      asymbp compare quick "quick with validation_fraction=0.1"
      asymbp compare results:quick other-results:paper --table 2
    """
    from asymbp_cli.report.comparison import comparison

    sides = [_side(name, keys, results_directory) for name in (first, second)]
    listings = comparison(*sides)
    if as_json:
        from asymbp_cli.report.records import as_records

        click.echo(json.dumps([as_records(part) for part in listings]))
        return
    from asymbp_cli.cli import console

    out = console.make(stderr=False)
    for listing in listings:
        console.show_listing(out, listing)


def _side(name: str, keys: tuple[str, ...], results_directory: Path) -> "Side":
    """Return the tables that `name` means."""
    from asymbp_cli.analysis.tables import chosen, fill_all
    from asymbp_cli.errors import UsageError
    from asymbp_cli.paths import exists
    from asymbp_cli.report.comparison import Side
    from asymbp_cli.results.store import FILE_NAME, Store

    path, label = str(results_directory), name
    if exists(Path(name) / FILE_NAME):
        path, label = name, ""
    else:  # a protocol's label may have colons of its own
        cuts = [i for i, character in enumerate(name) if character == ":" and exists(Path(name[:i]) / FILE_NAME)]
        if cuts:
            path, label = name[: cuts[0]], name[cuts[0] + 1 :]
    if not exists(Path(path) / FILE_NAME):
        raise UsageError(
            f'"{name}" is no directory of results, and there is no {path}/ with a protocol of that name'
        )
    with Store.open(Path(path), create=False) as store:
        grids = chosen(store.grids(), keys)
        found = [grid for grid in grids if not label or grid.protocol_label == label]
        if not found:
            labels = ", ".join(f'"{text}"' for text in dict.fromkeys(grid.protocol_label for grid in grids))
            raise UsageError(
                f'"{name}" is neither a directory of results nor a protocol in {path}/; there are {labels}'
            )
        return Side(name, tuple(fill_all(store, found)))
