"""`asymbp reproduce`."""

from typing import Any, Literal

import click

from asymbp_cli.cli import options


@click.command("reproduce")
@click.option(
    "--table", required=True, metavar="N", help="A name (asymbp ls tables), all (of the paper), or a file."
)
@click.option(
    "--dataset",
    "names",
    multiple=True,
    metavar="NAME",
    help="A dataset (asymbp ls datasets), a folder or archive of images, or `all`: every dataset of the table "
    "that is installed. May be repeated. Default: digits; of other papers theirs.",
)
@click.option(
    "--protocol",
    metavar="NAME",
    help="A name (asymbp ls protocols), or a file. Default: demo on digits; required for other datasets. A "
    "table of another paper has its own.",
)
@click.option(
    "--rule",
    type=click.Choice(["paper", "held-out"]),
    help="How a cell picks rate and epoch: `paper`, by the error on the test set; `held-out`, on a tenth of the "
    "training set that is held out. Default: as the protocol says (paper).",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The first seed.")
@click.option(
    "--seeds",
    metavar="K",
    type=click.IntRange(min=1, max=1000),
    default=1,
    show_default=True,
    help="Train everything with K seeds; a cell is then their median.",
)
@options.training
def command(
    table: str,
    names: tuple[str, ...],
    protocol: str | None,
    rule: Literal["paper", "held-out"] | None,
    seed: int,
    seeds: int,
    overrides: tuple[str, ...],
    **chosen: Any,
) -> int:
    """Reproduce a table of the paper on the datasets that are installed.

    \b
    Example:
      asymbp reproduce --table 2
      asymbp reproduce --table 2 --dataset mnist --protocol quick
      asymbp reproduce --table 1
      asymbp reproduce --table akrout2019
    """
    from asymbp_cli.api.asked import Reproduction
    from asymbp_cli.cli.execute import execute, read_options

    settings = read_options(**chosen)
    asked = Reproduction.read(table, names, protocol, rule, range(seed, seed + seeds), overrides)
    is_listing = len(asked.error_tables) < len(asked.tables)
    if is_listing and not (asked.error_tables and (settings.as_json or settings.quiet)):
        _print_networks()
    if not asked.error_tables:
        return 0
    return execute(asked.prepare(settings.source, lambda message: click.echo(message, err=True)), settings)


def _print_networks() -> None:
    from asymbp_cli.cli.networks_table import render_networks

    click.echo(render_networks())
