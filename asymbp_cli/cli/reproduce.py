"""`asymbp reproduce`."""

from typing import Any

import click

from asymbp_cli.cli import options


@click.command("reproduce")
@click.option("--table", required=True, metavar="N", help="1 to 5, 4-c1, 4-c2, all, or a table file of your own.")
@click.option(
    "--dataset",
    "names",
    multiple=True,
    metavar="NAME",
    help="A dataset (asymbp ls datasets), or a folder or archive of images. May be repeated. Default: digits.",
)
@click.option(
    "--protocol",
    metavar="NAME",
    help="paper, quick, demo, or a file. Default: demo on digits; else it must be given.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The first seed.")
@click.option(
    "--seeds",
    metavar="K",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Repeat everything with K seeds; a cell is then their median.",
)
@options.training
def command(
    table: str,
    names: tuple[str, ...],
    protocol: str | None,
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
    from asymbp_cli.cli.execute import Options, datasets, execute
    from asymbp_cli.cli.networks_table import networks_table
    from asymbp_cli.datasets.catalog import dataset_ref
    from asymbp_cli.errors import UsageError
    from asymbp_cli.plan import grid_of_table
    from asymbp_cli.recipe import load_protocol
    from asymbp_cli.tablespec import load_table

    tables = load_table(table)
    networks = [spec for spec in tables if spec.kind == "networks"]
    tables = tuple(spec for spec in tables if spec.kind == "errors")
    if networks and not (tables and (chosen["as_json"] or chosen["quiet"])):
        click.echo(networks_table())
    if not tables:
        return 0
    names = names or ("digits",)
    if protocol is None and names != ("digits",):
        raise UsageError(
            f"--protocol must be given for {', '.join(names)}: quick (5 epochs), paper (65 epochs), or a file"
        )
    training, label = load_protocol(protocol or "demo", overrides)
    settings = Options(**chosen)
    infos = datasets([dataset_ref(name) for name in dict.fromkeys(names)], None, training, settings)
    grids = [grid_of_table(spec, training, label, infos, range(seed, seed + seeds)) for spec in tables]
    return execute(grids, infos, settings)
