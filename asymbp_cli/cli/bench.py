"""`asymbp bench`: one command per experiment, each with the options that count for it."""

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from asymbp_cli.cli import bench_options, bench_training, options
from asymbp_cli.cli.bench_tables import format_grid
from asymbp_cli.cli.progress import format_duration
from asymbp_cli.machine import cores
from asymbp_cli.text import nearest


class _BenchGroup(click.Group):
    """A group that runs its default command if no experiment is named; the name may follow options."""

    default_command = "training"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name of the experiment first."""
        position = self._find_name(args)
        if position is not None:
            args = [args[position], *args[:position], *args[position + 1 :]]
        elif not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve an experiment, or fail with the names of all."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            hint = nearest(args[0], self.commands)
            ctx.fail(f'no such experiment "{args[0]}".{hint} The experiments are {", ".join(self.commands)}.')
        return super().resolve_command(ctx, args)

    def _find_name(self, args: list[str]) -> int | None:
        """Return the position of the experiment's name, if there is one."""
        for i, text in enumerate(args):
            is_value = i > 0 and args[i - 1] == "--cache-dir"  # a directory may have such a name
            if text in self.commands and not is_value:
                return i
        return None


@click.group("bench", cls=_BenchGroup)
def command() -> None:
    """Measure this machine. Without the name of an experiment, `training` runs.

    \b
    Example:
      asymbp bench
      asymbp bench --device cuda
      asymbp bench memory --replicas 8
      asymbp bench paper
    """


command.add_command(bench_training.command)


@command.command("memory")
@options.device
@bench_options.replicas
@bench_options.as_json
def memory(device: str, replicas: int | None, as_json: bool) -> None:
    """Compare predicted and measured memory of stacks.

    The planner's prediction for stacks of one and of --replicas on each network of Table 1, relative to what they
    take, in training steps and in testing. Next to it the memory of the process with the freed buffers that it
    keeps. Needs CUDA, or the CPU of Linux.

    \b
    Example:
      asymbp bench memory --replicas 8
    """
    from asymbp_cli.bench.memory import list_candidates, measure_memory

    candidates = list_candidates(device, sorted({1, replicas or bench_options.default_replicas(device)}))
    if not as_json:
        click.echo(f"Measuring {len(candidates)} stacks, each in a process of its own.", err=True)
    memories = list(measure_memory(candidates))
    if as_json:
        click.echo(json.dumps([asdict(m) | {"ratio": m.ratio} for m in memories]))
        return
    rows = [
        [
            f"{m.network}, {m.method}, {m.part}",
            f"{m.replicas}",
            _mib(m.predicted),
            _mib(m.measured),
            f"{m.ratio:.2f}",
            _mib(m.kept),
        ]
        for m in memories
    ]
    click.echo(f"Peak MiB on {device} beyond data and process, batch 100:\n")
    click.echo(format_grid(rows, ["", "replicas", "predicted", "measured", "ratio", "with freed buffers"]))


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f}"


@command.command("paper")
@options.device
@bench_options.replicas
@bench_options.as_json
def paper(device: str, replicas: int | None, as_json: bool) -> None:
    """Project the time of each table of the paper, and of all of it, by its protocol.

    \b
    Example:
      asymbp bench paper
    """
    from asymbp_cli.bench.projection import project

    replicas = replicas or bench_options.default_replicas(device)
    projections = project(device, workers=cores(), replicas=replicas)
    if as_json:
        click.echo(json.dumps([asdict(projection) for projection in projections]))
        return
    rows = [[p.table, f"{p.runs:,}", f"{p.petaflop:,.0f}", format_duration(3600 * p.hours)] for p in projections]
    at_once = f"{cores()} workers" if device == "cpu" else f"one at a time in stacks of up to {replicas}"
    click.echo(f"All runs at 65 epochs on {device}, {at_once}, evaluation included:\n")
    click.echo(format_grid(rows, ["", "runs", "PFLOP", "time"]))


@command.command("report")
@bench_options.as_json
def report(as_json: bool) -> None:
    """Plan and render all 2,520 trainings of the paper, 65 epochs each, from a store with made-up numbers.

    \b
    Example:
      asymbp bench report
    """
    from asymbp_cli.bench.report import measure_report

    with TemporaryDirectory() as directory:
        cost = measure_report(Path(directory))
    if as_json:
        click.echo(json.dumps(asdict(cost)))
        return
    click.echo(
        f"planning and rendering {cost.runs:,} runs with {cost.epochs:,} epochs: {cost.seconds:.2f} s, "
        f"at most {cost.peak_mib:.0f} MiB"
    )
