"""`asymbp reproduce`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from asymbp_cli.cli import options
from asymbp_cli.errors import UsageError

if TYPE_CHECKING:
    from asymbp_cli.datasets.decoded import DecodedDataset
    from asymbp_cli.recipe.table import TableSpec
    from asymbp_cli.specs.protocol import Protocol
    from asymbp_cli.study import DataSource

#: rule -> what it overrides; the paper does not say how much is held out
_RULES = {
    None: (),
    "paper": ("protocol.validation_fraction=0",),
    "held-out": ("protocol.validation_fraction=0.1",),
}


def _load_protocol(name: str, rule: str | None, overrides: tuple[str, ...]) -> tuple["Protocol", str]:
    """Return the protocol and its label; raises UsageError if an override turns the rule into its opposite."""
    from asymbp_cli.recipe.protocols import load_protocol

    protocol, label = load_protocol(name, (*_RULES[rule], *overrides))
    fraction = protocol.validation_fraction
    if rule is not None and (rule == "held-out") != (fraction > 0):
        raise UsageError(
            f"--rule {rule} contradicts --set protocol.validation_fraction={fraction:g}. Leave one of them out"
        )
    return protocol, label


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
    rule: str | None,
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
    from asymbp_cli.cli.execute import execute, read_options
    from asymbp_cli.datasets.catalog import parse_dataset
    from asymbp_cli.recipe.build import make_table_grid
    from asymbp_cli.recipe.table import load_table
    from asymbp_cli.study import prepare_datasets

    settings = read_options(**chosen)
    tables = load_table(table)
    own = next((spec.protocol for spec in tables), None)  # that of another paper
    names = tuple(dict.fromkeys(names)) or (tables[0].datasets[:1] if own else ("digits",))
    refs = [parse_dataset(name) for name in names if name != "all"]
    training, label = _load_protocol(protocol or own or "demo", rule, overrides)
    error_tables = [spec for spec in tables if spec.kind == "errors"]
    if len(error_tables) < len(tables) and not (error_tables and (settings.as_json or settings.quiet)):
        _print_networks()
    if not error_tables:
        return 0
    _check_protocol(protocol or own, names)
    named = prepare_datasets(refs, tables[0].network, training, settings.source)
    installed: list[DecodedDataset] = []
    missing: Mapping[str, str] = {}
    if "all" in names:
        installed, missing = _prepare_all(error_tables, named, training, settings.source)
    grids = [
        make_table_grid(
            spec,
            training,
            label,
            [*named, *(info for info in installed if info.key in spec.datasets)],
            missing=[key for key in spec.datasets if key in missing],
            seeds=range(seed, seed + seeds),
        )
        for spec in error_tables
    ]
    return execute(grids, [*named, *installed], settings)


def _print_networks() -> None:
    from asymbp_cli.cli.networks_table import render_networks

    click.echo(render_networks())


def _check_protocol(protocol: str | None, names: tuple[str, ...]) -> None:
    """Raise UsageError if the protocol is left open for other datasets than digits."""
    if protocol is None and names != ("digits",):
        raise UsageError(
            f"--protocol must be given for {', '.join(names)}. "
            "Choose quick (5 epochs), paper (65 epochs), or a file"
        )


def _prepare_all(
    tables: "Sequence[TableSpec]", named: "Sequence[DecodedDataset]", protocol: "Protocol", source: "DataSource"
) -> "tuple[list[DecodedDataset], Mapping[str, str]]":
    """Return the installed datasets of `tables`, which join those that were named, and the missing ones' keys."""
    from asymbp_cli import study
    from asymbp_cli.recipe.build import check_distinct

    keys = dict.fromkeys(key for spec in tables for key in spec.datasets)
    installed, missing = study.prepare_installed(list(keys), protocol, source)
    for message in filter(None, missing.values()):
        click.echo(f"left out: {message}", err=True)
    study.check_any_installed([*named, *installed], source)
    check_distinct([info.label for info in (*named, *installed)], "datasets")
    return installed, missing
