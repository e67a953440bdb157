"""`asymbp bench`: one command per experiment, each with the options that count for it."""

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from asymbp_cli.cli import bench_executors, bench_options, bench_training, options
from asymbp_cli.cli.bench_tables import format_grid
from asymbp_cli.cli.names import complete
from asymbp_cli.cli.streams import check_open
from asymbp_cli.machine import cores
from asymbp_cli.text import count, format_duration, nearest

if TYPE_CHECKING:
    from asymbp_cli.datasets.decoded import DecodedDataset


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
        if args and args[0] not in self.commands and not args[0].startswith("-") and not ctx.resilient_parsing:
            hint = nearest(args[0], self.commands)
            ctx.fail(f'no such experiment "{args[0]}".{hint} The experiments are {", ".join(self.commands)}.')
        return super().resolve_command(ctx, args)

    def _find_name(self, args: list[str]) -> int | None:
        """Return the position of the experiment's name, if there is one."""
        for i, text in enumerate(args):
            is_value = i > 0 and args[i - 1] in ("--cache-dir", "--data-dir")  # a directory may have such a name
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
    check_open("measurements are")


command.add_command(bench_training.command)
command.add_command(bench_executors.command)


@command.command("memory", short_help="Predicted and measured memory of stacks.")
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
        click.echo(f"Measuring {count(len(candidates), 'stack')}, each in a process of its own.", err=True)
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


@command.command("paper", short_help="Project the time of the whole paper.")
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


@command.command("report", short_help="Plan and render all trainings of the paper.")
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


_dataset = click.option(
    "--dataset",
    metavar="NAME",
    default="digits",
    show_default=True,
    shell_complete=complete("datasets"),
    help="Dataset of the paper, or digits.",
)


@command.command("checks", short_help="What it costs to notice damage.")
@_dataset
@options.data_dir
@options.cache_dir
@bench_options.as_json
def checks(dataset: str, data_dir: Path | None, cache_dir: Path | None, as_json: bool) -> None:
    """Measure what it costs to notice damage, next to an epoch of a run of Table 2 on the CPU.

    Checksums of the decoded dataset, of checkpoints and of the database, and the checks of stored epochs.

    \b
    Example:
      asymbp bench checks
      asymbp bench checks --dataset mnist --data-dir DIR
    """
    from asymbp_cli.bench.checks import measure_checks

    bench_options.announce("cpu", quiet=as_json)
    info = _prepare(dataset, data_dir, cache_dir)
    with TemporaryDirectory() as directory:
        found = measure_checks(info, Path(directory))
    if as_json:
        click.echo(json.dumps(asdict(found) | {"share": found.share}))
        return
    share = [f"{100 * check.seconds / found.epoch_seconds:.3f}" for check in found.checks]
    rows = [
        [check.what, f"per {check.per}", f"{1000 * check.seconds:.2f}", percent]
        for check, percent in zip(found.checks, share, strict=True)
    ]
    click.echo(f"An epoch of a run of Table 2 on {info.label} takes {found.epoch_seconds:.2f} s on one core:\n")
    click.echo(format_grid(rows, ["", "at most", "ms", "% of the epoch"]))
    click.echo(f"\nall checks together: {100 * found.share:.2f} %")


@command.command("measures", short_help="What the measures of an epoch cost.")
@_dataset
@options.data_dir
@options.cache_dir
@bench_options.as_json
def measures(dataset: str, data_dir: Path | None, cache_dir: Path | None, as_json: bool) -> None:
    """Measure what angles, signs, norms, ranks and growth cost after an epoch, next to the epoch, on the CPU.

    \b
    Example:
      asymbp bench measures
      asymbp bench measures --dataset mnist --data-dir DIR
    """
    from asymbp_cli.bench.measures import time_measures

    bench_options.announce("cpu", quiet=as_json)
    info = _prepare(dataset, data_dir, cache_dir)
    found = time_measures(info)
    if as_json:
        click.echo(json.dumps(asdict(found)))
        return
    rows = [
        [key, f"{1000 * seconds:.2f}", f"{100 * seconds / found.epoch_seconds:.2f}"]
        for key, seconds in found.seconds.items()
    ]
    click.echo(f"An epoch of a uSF run on {info.label} takes {found.epoch_seconds:.2f} s on one core:\n")
    click.echo(format_grid(rows, ["measured", "ms", "% of the epoch"]))


def _prepare(dataset: str, data_dir: Path | None, cache_dir: Path | None) -> "DecodedDataset":
    from asymbp_cli.datasets.catalog import find_entry
    from asymbp_cli.datasets.prepare import prepare
    from asymbp_cli.datasets.source import DataSource
    from asymbp_cli.recipe.networks import network_for

    key = find_entry(dataset).key
    return prepare(key, network_for(key).input, DataSource(data_dir=data_dir, cache_dir=cache_dir))
