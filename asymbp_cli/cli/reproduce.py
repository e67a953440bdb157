"""`asymbp reproduce`."""

from typing import TYPE_CHECKING, Any

import click

from asymbp_cli.cli import options

if TYPE_CHECKING:
    from asymbp_cli.datasets.decoded import DataInfo

_RULES = {  # rule -> what it overrides; the paper says nothing of the share
    None: (),
    "paper": ("protocol.validation_fraction=0",),
    "held-out": ("protocol.validation_fraction=0.1",),
}


@click.command("reproduce")
@click.option("--table", required=True, metavar="N", help="1 to 5, 4-c1, 4-c2, all, or a table file of your own.")
@click.option(
    "--dataset",
    "names",
    multiple=True,
    metavar="NAME",
    help="A dataset (asymbp ls datasets), a folder or archive of images, or all: those of the table that are "
    "here. May be repeated. Default: digits.",
)
@click.option(
    "--protocol",
    metavar="NAME",
    help="paper, quick, demo, or a file. Default: demo on digits; else it must be given.",
)
@click.option(
    "--rule",
    type=click.Choice(["paper", "held-out"]),
    help="How a cell picks rate and epoch: paper, on the test set; held-out, on a tenth of the training set "
    "that is held out. Default: as the protocol says (paper).",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The first seed.")
@click.option(
    "--seeds",
    metavar="K",
    type=click.IntRange(min=1, max=1000),
    default=1,
    show_default=True,
    help="Repeat everything with K seeds; a cell is then their median.",
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
    """Reproduce a table of the paper on the datasets at hand.

    \b
    Example:
      asymbp reproduce --table 2
      asymbp reproduce --table 2 --dataset mnist --protocol quick
      asymbp reproduce --table 1
    """
    from asymbp_cli.cli.execute import Options, at_hand, datasets, execute
    from asymbp_cli.cli.networks_table import render_networks
    from asymbp_cli.datasets.catalog import dataset_ref
    from asymbp_cli.errors import UsageError
    from asymbp_cli.recipe.build import check_distinct, make_table_grid
    from asymbp_cli.recipe.protocols import load_protocol
    from asymbp_cli.recipe.table import load_table

    tables = load_table(table)
    names = tuple(dict.fromkeys(names)) or ("digits",)
    refs = [dataset_ref(name) for name in names if name != "all"]
    training, label = load_protocol(protocol or "demo", (*_RULES[rule], *overrides))
    networks = [spec for spec in tables if spec.kind == "networks"]
    tables = tuple(spec for spec in tables if spec.kind == "errors")
    if networks and not (tables and (chosen["as_json"] or chosen["quiet"])):
        click.echo(render_networks())
    if not tables:
        return 0
    if protocol is None and names != ("digits",):
        raise UsageError(
            f"--protocol must be given for {', '.join(names)}: quick (5 epochs), paper (65 epochs), or a file"
        )
    settings = Options(**chosen)
    infos = datasets(refs, None, training, settings)
    found: list[DataInfo] = []
    missing: set[str] = set()
    if "all" in names:
        wanted = dict.fromkeys(key for spec in tables for key in spec.datasets)
        found, missing = at_hand(list(wanted), training, settings, alone=not infos)
        check_distinct([info.label for info in (*infos, *found)], "datasets")
    grids = [
        make_table_grid(
            spec,
            training,
            label,
            [*infos, *(info for info in found if info.key in spec.datasets)],
            missing=[key for key in spec.datasets if key in missing],
            seeds=range(seed, seed + seeds),
        )
        for spec in tables
    ]
    return execute(grids, [*infos, *found], settings)
