"""`asymbp bench executors`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from asymbp_cli.cli import bench_options
from asymbp_cli.cli.bench_tables import format_grid

if TYPE_CHECKING:
    from asymbp_cli.bench.measure import Measure


@click.command("executors", short_help="What executors add to trainings.")
@click.option(
    "--stacks",
    metavar="N",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Stacks in all rounds.",
)
@click.option(
    "--seconds",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Seconds of a stack's training.",
)
@bench_options.rounds
@bench_options.as_json
def command(stacks: int, seconds: float, rounds: int, as_json: bool) -> None:
    """Measure what executors add to trainings, and what a second worker gains.

    The time of stacks by every executor that is installed, with one worker, relative to the same in this process.
    A stand-in trains them: it waits for --seconds. Then the time of stacks that compute for --seconds, by two
    worker processes relative to one. The start of workers, once in a study, is not counted.

    \b
    Example:
      asymbp bench executors
      asymbp bench executors --stacks 40 --seconds 0.5
    """
    from asymbp_cli.bench.executors import measure_executors

    bench_options.announce("cpu", quiet=as_json)
    with TemporaryDirectory() as directory:
        found = measure_executors(Path(directory), stacks=stacks, seconds=seconds, rounds=rounds)
    if as_json:
        click.echo(json.dumps(asdict(found)))
        return
    click.echo(f"Stacks of {seconds:g} s that wait, one worker each:\n")
    click.echo(_format(found.overhead, f"over {found.overhead[0].name}"))
    for name, reason in found.unavailable.items():
        click.echo(f"{name} was not measured: {reason}", err=True)
    click.echo(f"\nStacks of {seconds:g} s that compute:\n")
    click.echo(_format(found.scaling, "over 1 worker"))
    one, two = found.scaling
    click.echo(f"\ntwo workers are {one.ratio / two.ratio:.2f} times as fast as one")


def _format(measures: "Sequence[Measure]", ratio_name: str) -> str:
    rows = [[m.name, f"{m.seconds:.3f}", f"{m.ratio:.3f}", f"{m.lowest:.3f} to {m.highest:.3f}"] for m in measures]
    return format_grid(rows, ["", "s per stack", ratio_name, "range"])
