"""`asymbp bench`."""

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click
from tabulate import tabulate

from asymbp_cli.cli.options import cores

if TYPE_CHECKING:
    from asymbp_cli.bench import Measure


@click.command("bench")
@click.argument("what", type=click.Choice(["training", "report"]), default="training")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or mps.")
@click.option("--replicas", type=click.IntRange(min=1), default=5, show_default=True, help="Replicas in a stack.")
@click.option(
    "--rounds", type=click.IntRange(min=1), default=7, show_default=True, help="Rounds to take medians of."
)
@click.option("--steps", type=click.IntRange(min=1), default=10, show_default=True, help="Steps in a round.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(what: str, device: str, replicas: int, rounds: int, steps: int, as_json: bool) -> None:
    """Measure this machine. WHAT is training (the default) or report.

    training: the MNIST network at batch 100, as ratios within each round. First every feedback scheme's step over
    backpropagation's; then, on the CPU, the engine over the loops that a good user of PyTorch would write.

    report: planning and rendering all 2,520 trainings of the paper, 65 epochs each, from a store with made-up
    numbers.

    \b
    Example:
      asymbp bench
      asymbp bench report
      asymbp bench --device cuda --replicas 64
    """
    if what == "report":
        _report(as_json)
        return
    from asymbp_cli import bench

    if not as_json:
        click.echo("measuring; other work on this machine disturbs it", err=True)
    workers = cores()
    loops = []
    if device == "cpu":
        loops = bench.engine_over_loops(workers=workers, replicas=replicas, rounds=rounds, steps=steps)
    overhead = bench.feedback_overhead(device, replicas=replicas, rounds=rounds, steps=max(steps // 2, 1))
    if as_json:
        click.echo(json.dumps({"overhead": [asdict(m) for m in overhead], "loops": [asdict(m) for m in loops]}))
        return
    click.echo(f"\nStep of a replica over SGD's, stacks of {replicas}, one thread:")
    click.echo(_table(overhead, "over SGD", invert=False))
    if loops:
        click.echo(f"\nTraining throughput over the DataLoader loop, {workers} cores:")
        click.echo(_table(loops, "times its samples/s", invert=True))


def _report(as_json: bool) -> None:
    from asymbp_cli.bench_report import measure

    with TemporaryDirectory() as directory:
        found = measure(Path(directory))
    if as_json:
        click.echo(json.dumps(asdict(found)))
        return
    click.echo(
        f"planning and rendering {found.runs:,} runs with {found.epochs:,} epochs: {found.seconds:.2f} s, "
        f"at most {found.peak_mib:.0f} MiB"
    )


def _table(measures: "list[Measure]", what: str, *, invert: bool) -> str:
    """Return measures as text; inverted ratios say how many times faster than the reference."""
    rows = []
    for m in measures:
        ratio, low, high = (1 / m.ratio, 1 / m.highest, 1 / m.lowest) if invert else (m.ratio, m.lowest, m.highest)
        rows.append(
            [
                m.name,
                f"{1e3 * m.seconds:.2f}",
                f"{100 / m.seconds:,.0f}",
                f"{ratio:.2f}",
                f"{low:.2f} to {high:.2f}",
            ]
        )
    header = ["", "ms per step", "samples/s", what, "range"]
    return tabulate(rows, header, tablefmt="simple", disable_numparse=True, colalign=("left", *["right"] * 4))
