"""`asymbp compare`."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asymbp_cli.cli import options
from asymbp_cli.cli.asked_options import check_named
from asymbp_cli.cli.names import complete
from asymbp_cli.cli.waiting import say
from asymbp_cli.text import nearest

if TYPE_CHECKING:
    from asymbp_cli.report.comparison import Side


@click.command("compare")
@click.argument("first", metavar="A", callback=check_named, shell_complete=complete("results"))
@click.argument("second", metavar="B", callback=check_named, shell_complete=complete("results"))
@options.tables
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with numbers.")
@options.results
def command(first: str, second: str, keys: tuple[str, ...], as_json: bool, results_directory: Path) -> None:
    """Compare two results cell by cell, in tables of one name, or if these share nothing, by method. A and B are
    results directories, protocols of those in --results, or both, as DIR:PROTOCOL. If a protocol was trained with
    several sets of seeds, or with several versions of a plugin, these follow it: "quick, seeds 0, 1",
    "quick, plugin 3f2a91bc".

    \b
    Example:
      asymbp compare results other-results
      asymbp compare quick "quick with validation_fraction=0.1"
      asymbp compare results:quick other-results:paper --table 2
    """
    from asymbp_cli.report.comparison import compare_tables, list_comparison, make_comparison_record

    sides = [_load_side(name, keys, results_directory) for name in (first, second)]
    compared = compare_tables(*sides)
    if as_json:
        click.echo(json.dumps(list(map(make_comparison_record, compared))))
        return
    from asymbp_cli.cli import console

    out = console.make_console(stderr=False)
    console.print_listings(out, [list_comparison(table) for table in compared])


def _load_side(name: str, keys: tuple[str, ...], results_directory: Path) -> "Side":
    """Return the tables that `name` means."""
    from asymbp_cli.analysis.agreement import Conditions
    from asymbp_cli.analysis.tables import fill_all, filter_grids
    from asymbp_cli.errors import UsageError
    from asymbp_cli.files.paths import expand_home, is_file
    from asymbp_cli.report.comparison import Side, name_choices
    from asymbp_cli.results.store import Store

    if is_file(expand_home(name)):
        raise UsageError(
            f'"{name}" is a file, not a results directory. Put exported results into a directory first: '
            f"asymbp store merge {shlex.quote(name)} --results DIR"
        )
    directory, protocol = _split_name(name, str(results_directory))
    if not _has_results(directory):
        raise UsageError(
            f'"{name}" is not a results directory, and {directory}/ has no results with a protocol of that name. '
            "Run asymbp train or reproduce first, or name another directory with --results"
        )
    with Store.open(expand_home(directory), create=False, on_wait=say) as store:
        grids = filter_grids(store.grids(), keys)
        conditions, choices = [Conditions.of(grid) for grid in grids], name_choices(grids)
        selected = [
            grid
            for grid, own, choice in zip(grids, conditions, choices, strict=True)
            if not protocol or protocol in (own.protocol, own.describe_among(conditions), choice)
        ]
        if not selected:
            labels = list(dict.fromkeys(choices))
            raise UsageError(
                f'"{name}" is neither a directory of results nor a protocol in {directory}/.'
                f"{nearest(protocol, labels)} Name one of " + ", ".join(f'"{label}"' for label in labels)
            )
        return Side(name, tuple(fill_all(store, selected)), protocol)


def _split_name(name: str, results_directory: str) -> tuple[str, str]:
    """Return directory and protocol of DIR, PROTOCOL or DIR:PROTOCOL; an empty protocol means all."""
    if _has_results(name):
        return name, ""
    colons = [i for i, character in enumerate(name) if character == ":"]  # a protocol's label may have some too
    for i in colons:
        if _has_results(name[:i]):
            return name[:i], name[i + 1 :]
    return results_directory, name


def _has_results(directory: str) -> bool:
    """Return whether a directory has results. Raises StoreError if it may not be read."""
    from asymbp_cli.files.paths import FILE_NAME, exists, expand_home
    from asymbp_cli.results.directory import check_reachable

    check_reachable(expand_home(directory))
    return exists(expand_home(directory) / FILE_NAME)
