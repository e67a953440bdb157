"""`asymbp plan`."""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from asymbp_cli.cli import asked_options, options
from asymbp_cli.cli.names import complete
from asymbp_cli.errors import UsageError
from asymbp_cli.machine import MOST_WORKERS

_MOST_WORKERS = 100_000
_ASKED = ("device", "workers", "steps", "executor", "start", "failures", "price")
_MOST_FAILURES = 60.0  # per hour: hardly a stack gets from one checkpoint to the next


def _parse_cluster(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """Return nodes and workers per node."""
    if text is None:
        return None
    found = re.fullmatch("([0-9]{1,6})x([0-9]{1,6})", text)
    nodes, workers = map(int, found.groups()) if found else (0, 0)
    if not 0 < nodes * workers <= _MOST_WORKERS:
        raise click.BadParameter(
            f'"{text}" is no cluster. Write NODESxGPUS, for instance 4x8: at least 1x1, at most {_MOST_WORKERS:,} '
            "GPUs in all"
        )
    return nodes, workers


def _check_finite(context: click.Context, parameter: click.Parameter, number: float | None) -> float | None:
    """Return a number that is none of nan and inf, which are in every range."""
    if number is not None and not math.isfinite(number):
        raise click.BadParameter(f"{number} is no amount. Write a number, for instance 2.50")
    return number


@click.command("plan")
@asked_options.recipes
@asked_options.tables(required=False)
@click.option("--all", "everything", is_flag=True, help="Every table of the paper on all of its datasets.")
@asked_options.datasets(
    "As in reproduce, but `all` is every dataset of the table, whether it is installed or not. May be repeated."
)
@asked_options.network
@asked_options.protocol("As in reproduce. Default with --all: paper.")
@asked_options.rule
@asked_options.seeds("0, or that of the recipe")
@options.overrides
@options.results
@click.option(
    "--device",
    metavar="DEVICE",
    callback=options.parse_optional_device,
    shell_complete=complete("devices"),
    help="Where steps are measured: cpu (the default), cuda, cuda:1 or mps.",
)
@click.option("--workers", metavar="N", type=click.IntRange(1, MOST_WORKERS), help="As in train.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as one JSON object.")
@options.data_dir
@options.plugins
@click.option(
    "--step-seconds",
    "steps",
    metavar="FILE",
    shell_complete=complete("steps"),
    help="Measure nothing: take steps from a file that --save-steps wrote, or from h100.",
)
@click.option(
    "--save-steps", metavar="FILE", type=options.UserPath(), help="Write the measured steps to a CSV file."
)
@click.option(
    "--simulate",
    "cluster",
    metavar="NODESxGPUS",
    callback=_parse_cluster,
    help="Play the schedule on so many nodes with so many GPUs each; on the CPU, with so many workers each.",
)
@click.option(
    "--executor",
    metavar="NAME",
    shell_complete=complete("executors"),
    help="As in train. On slurm each stack is a job, which starts anew. Needs --simulate.",
)
@click.option(
    "--start",
    metavar="SECONDS",
    type=click.FloatRange(0, 86_400),
    callback=_check_finite,
    help="Of a worker until its first stack, and again after a failure. Default: as in the results, else 10. "
    "Needs --simulate.",
)
@click.option(
    "--failures",
    metavar="RATE",
    type=click.FloatRange(0, _MOST_FAILURES),
    callback=_check_finite,
    help="Failures per hour of a GPU, at random but the same ones every time. Needs --simulate.",
)
@click.option(
    "--price",
    metavar="AMOUNT",
    type=click.FloatRange(min=0),
    callback=_check_finite,
    help="Of an hour of a GPU. Needs --simulate.",
)
@options.cache_dir
def command(
    save_steps: Path | None,
    as_json: bool,
    cluster: tuple[int, int] | None,
    results_directory: Path,
    **chosen: Any,
) -> None:
    """Say what a study costs before it is trained: runs, hours, memory, and what to ask of a cluster.

    RECIPE is a YAML file, or a name, as in train. Recipes and tables together are one study.

    Nothing is decoded, downloaded or trained, and no dataset of the catalogue needs to be there. Steps are
    measured here, or given. The page on scheduling (asymbp_cli/scheduling/README.md) explains the numbers, and
    has those of the whole paper.

    \b
    Example:
      asymbp plan --table 2
      asymbp plan my.yaml --seeds 5
      asymbp plan --all --step-seconds h100
      asymbp plan --all --seeds 5 --step-seconds h100 --simulate 4x8 --price 2.50
    """
    from asymbp_cli.cli.plan_asked import Wanted
    from asymbp_cli.cli.plan_costs import Cluster, Question, compute_costs
    from asymbp_cli.cli.plan_tables import print_costs
    from asymbp_cli.cli.streams import check_open
    from asymbp_cli.cli.write import check_output, write_text
    from asymbp_cli.scheduling.steps_file import write_steps

    asks = {name: chosen.pop(name) for name in _ASKED}
    details = (asks[name] for name in ("executor", "start", "failures", "price"))
    _check(cluster, save_steps, asks["steps"], asks["workers"], details)
    if save_steps:
        check_output(save_steps)  # before anything is measured
    else:
        check_open("what a study costs is")
    question = Question(results_directory, cluster=Cluster(*cluster) if cluster else None, **asks)
    costs = compute_costs(Wanted(**chosen).prepare(), question)
    print_costs(costs, as_json=as_json)
    if save_steps:
        write_text(write_steps(costs.steps), save_steps)


def _check(
    cluster: object, save_steps: Path | None, steps: str | None, workers: int | None, details: Iterable[object]
) -> None:
    """Raise UsageError if options contradict each other."""
    if cluster is None and any(detail is not None for detail in details):
        raise UsageError(
            "--executor, --start, --failures and --price are of a schedule. Add --simulate, for instance 4x8"
        )
    if cluster is not None and workers is not None:
        raise UsageError("--simulate says how many workers there are. Leave out --workers")
    if save_steps and steps:
        raise UsageError("--step-seconds measures nothing that --save-steps could write. Leave one of them out")
