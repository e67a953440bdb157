"""`asymbp bench training`."""

import json
import platform
from dataclasses import asdict
from pathlib import Path

import click

from asymbp_cli.cli import bench_options, options
from asymbp_cli.cli.bench_tables import format_training
from asymbp_cli.machine import cores


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
    from asymbp_cli.bench import measure
    from asymbp_cli.bench.training import measure_training
    from asymbp_cli.datasets.cache import cache_directory

    replicas = replicas or bench_options.default_replicas(device)
    busy = bench_options.announce(device, quiet=as_json)
    groups = measure_training(device, workers=cores(), replicas=replicas, rounds=rounds, steps=steps)
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


def _compare(slower: list[str] | None, *, has_baseline: bool, save: bool) -> None:
    """Print the comparison with the baseline, or why there is none."""
    if slower:
        click.echo("\n" + "\n".join(["slower than the baseline:", *slower]))
    elif slower is not None:
        click.echo("\nno slower than the baseline")
    elif has_baseline and not save:
        click.echo("\nThe baseline is of another machine or --replicas. Use --save to replace it.")
