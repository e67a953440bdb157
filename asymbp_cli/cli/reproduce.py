"""`asymbp reproduce`."""

from typing import TYPE_CHECKING, Any

import click

from asymbp_cli.cli import asked_options, options

if TYPE_CHECKING:
    from asymbp_cli.api.variation import Rule


@click.command("reproduce")
@asked_options.tables(required=True)
@asked_options.datasets(
    "A dataset (asymbp ls datasets), a folder or archive of images, or `all`: every dataset of the table that is "
    "installed. May be repeated. Default: digits; of other papers the first of theirs."
)
@asked_options.network
@asked_options.protocol(
    "Default: demo on digits; required for other datasets. A table of another paper has its own."
)
@asked_options.rule
@asked_options.seeds("0")
@options.training
def command(
    tables: tuple[str, ...],
    names: tuple[str, ...],
    network: str | None,
    protocol: str | None,
    rule: "Rule | None",
    seed: int | None,
    seeds: int | None,
    overrides: tuple[str, ...],
    **chosen: Any,
) -> int:
    """Reproduce tables of the paper on the datasets that are installed. What several share is trained once.

    \b
    Example:
      asymbp reproduce --table 2
      asymbp reproduce --table 2 --table 3 --dataset mnist --protocol quick
      asymbp reproduce --table 2 --dataset ./photos --network mnist --protocol demo
      asymbp reproduce --table 1
      asymbp reproduce --table akrout2019
    """
    from asymbp_cli.api.asked import ask_for_tables, prepare_tables
    from asymbp_cli.cli.execute import execute, read_options

    settings = read_options(**chosen)
    chosen_seeds = asked_options.choose_seeds(seed, seeds) or range(1)
    asked = ask_for_tables(tables, names, network, protocol, rule, chosen_seeds, overrides)
    is_listing = any(len(one.error_tables) < len(one.tables) for one in asked)
    trains = any(one.error_tables for one in asked)
    if is_listing and not (trains and (settings.as_json or settings.quiet)):
        settings.waiting.end()
        _print_networks()
    if not trains:
        return 0
    return execute(prepare_tables(asked, settings.source, options.warn), settings)


def _print_networks() -> None:
    from asymbp_cli.cli import console
    from asymbp_cli.cli.networks_table import list_networks

    out = console.make_console(stderr=False)
    console.print_text(out, "Table 1. The networks; ReLU after every layer but the last.", "bold")
    for listing in list_networks():
        out.print()
        console.print_listing(out, listing)
