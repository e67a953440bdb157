"""Options that several experiments of `asymbp bench` share."""

import os

import click

from asymbp_cli.machine import busy_cores
from asymbp_cli.scheduling.replica_limit import MAX_REPLICAS

_QUIET_CORES = 0.2  # so many busy ones disturb nothing

replicas = click.option(
    "--replicas",
    metavar="N",
    type=click.IntRange(1, 4096),
    help="Replicas per stack. Default: 5 on the CPU, 64 on CUDA, as in training.",
)
rounds = click.option(
    "--rounds",
    metavar="N",
    type=click.IntRange(min=1),
    default=7,
    show_default=True,
    help="Rounds to take medians of.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def default_replicas(device: str) -> int:
    """Return the number of replicas of a stack in training."""
    return MAX_REPLICAS.get(device.partition(":")[0], 5)


def announce(device: str, *, quiet: bool) -> float | None:
    """Announce the measurement and what disturbs it; return the number of busy cores, if known."""
    if not quiet:
        click.echo("Measuring; other load on this machine distorts the results.", err=True)
    busy = busy_cores()
    if not quiet and device == "cpu" and busy is not None and busy > _QUIET_CORES:
        count = f"{busy:.1f} of {os.cpu_count()} cores"
        click.echo(f"{count} are busy now. Measure again when they are idle.", err=True)
    return busy
