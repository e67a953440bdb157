"""`asymbp bench training`."""

import json
import platform
from dataclasses import asdict
from pathlib import Path

import click

from asymbp_cli.cli import bench_options, options
from asymbp_cli.cli.bench_tables import format_training
from asymbp_cli.machine import cores

#: what is measured, by group, in this order
_GROUPS = {
    "overhead": "the step of every feedback scheme, over SGD's",
    "schemes": "the same of learned and direct schemes",
    "scaling": "stacks of several sizes",
    "growth": "mini-batches of several sizes",
    "precision": "each precision of products",
    "ceiling": "training steps over matrix products",
    "loops": "the engine against loops of PyTorch",
}


@click.command("training", short_help="Training steps, as ratios within each round.")
@options.device
@bench_options.replicas
@bench_options.rounds
@click.option(
    "--steps", metavar="N", type=click.IntRange(min=1), default=10, show_default=True, help="Steps in a round."
)
@click.option("--save", is_flag=True, help="Keep these measures as the baseline of this machine.")
@bench_options.as_json
@options.cache_dir
def command(
    device: str,
    replicas: int | None,
    rounds: int,
    steps: int,
    save: bool,
    as_json: bool,
    cache_dir: Path | None,
) -> None:
    """Measure training steps, as ratios within each round.

    The step of every feedback scheme relative to backpropagation's. Stacks and mini-batches of several sizes
    (otherwise the mini-batch is 100). Each precision of products. FLOP of each network's step relative to the rate
    of matrix products. The engine against the loops that a good user of PyTorch would write. Reports what got
    slower than the baseline saved with --save.

    \b
    Example:
      asymbp bench training --rounds 3
    """
    busy = bench_options.announce(device, quiet=as_json)  # before the imports, which take a while
    from asymbp_cli.bench import measure
    from asymbp_cli.bench.training import measure_training
    from asymbp_cli.datasets.cache import cache_directory

    replicas = replicas or bench_options.default_replicas(device)
    announce = _ignore if as_json else _announce
    groups = measure_training(
        device, workers=cores(), replicas=replicas, rounds=rounds, steps=steps, on_group=announce
    )
    machine = f"{platform.node()}, {device}, {cores()} cores, stacks of {replicas}"
    baseline = cache_directory(cache_dir) / f"bench-{device.replace(':', '-')}.json"
    slower = measure.find_slower(groups, machine, baseline)
    if not as_json:
        click.echo(format_training(groups, device, replicas, cores()))
        _compare(slower, has_baseline=baseline.exists(), save=save)
    if save:
        measure.save_baseline(groups, machine, baseline)
        if not as_json:
            click.echo(f"\nkept as the baseline: {baseline}")
    if as_json:
        measures = {name: [asdict(m) for m in group] for name, group in groups.items()}
        click.echo(json.dumps(measures | {"slower": slower, "busy_cores_before": busy}))


def _announce(group: str) -> None:
    """Say what is measured next."""
    number = list(_GROUPS).index(group) + 1
    click.echo(f"measuring {number} of {len(_GROUPS)}: {_GROUPS[group]}", err=True)


def _ignore(group: str) -> None:
    """Say nothing."""


def _compare(slower: list[str] | None, *, has_baseline: bool, save: bool) -> None:
    """Print the comparison with the baseline, or why there is none."""
    if slower:
        click.echo("\n" + "\n".join(["slower than the baseline:", *slower]))
    elif slower is not None:
        click.echo("\nno slower than the baseline")
    elif has_baseline and not save:
        click.echo("\nThe baseline is of another machine or --replicas. Use --save to replace it.")
