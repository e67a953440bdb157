"""Options that several commands share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from asymbp_cli.cli.logs import LOGS
from asymbp_cli.cli.names import complete
from asymbp_cli.errors import UsageError
from asymbp_cli.files.paths import expand_home
from asymbp_cli.machine import MOST_WORKERS, parse_device, parse_devices
from asymbp_cli.specs.shards import Shard, parse_shard
from asymbp_cli.text import nearest

EMPTY = "it is empty, perhaps from a variable that is not set. Write . for the working directory"
DEFAULT_RESULTS = Path("results")

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class UserPath(click.Path):
    """A path as users write it, with `~` expanded: no shell does so in `--output=~/x`, nor between quotes."""

    def __init__(self, *, dir_okay: bool = True) -> None:
        super().__init__(path_type=Path, dir_okay=dir_okay)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Return the path; raises click.BadParameter if it is empty, or `~` names no user."""
        text = os.fspath(value)
        if not text and self.dir_okay:
            self.fail(EMPTY, param, ctx)
        if not self.dir_okay and text.endswith(("/", os.sep)):
            self.fail(f'"{text}" is the name of a folder. Name a file in it', param, ctx)
        if text.startswith("~"):
            try:
                value = expand_home(text)
            except UsageError as error:
                self.fail(str(error), param, ctx)
        return super().convert(value, param, ctx)


def _parse_device(context: click.Context, parameter: click.Parameter, name: str) -> str:
    """Return a device's name as torch writes it."""
    try:
        return parse_device(name)
    except UsageError as error:
        raise click.BadParameter(str(error)) from None


def _parse_devices(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    """Return the devices of a list as torch writes them."""
    try:
        return parse_devices(text) if text is not None else None
    except UsageError as error:
        raise click.BadParameter(str(error)) from None


def _parse_shard(context: click.Context, parameter: click.Parameter, text: str | None) -> Shard | None:
    """Return the part of the study that is trained; None: all of it."""
    try:
        return None if text is None else parse_shard(text)
    except UsageError as error:
        raise click.BadParameter(str(error)) from None


def parse_optional_device(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
    """Return a device's name as torch writes it; None if none is named."""
    return None if name is None else _parse_device(context, parameter, name)


def _parse_logs(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, Path], ...]:
    """Return name and directory of each log."""
    logs = []
    for value in values:
        name, equals, directory = value.partition("=")
        if not equals or not directory:
            raise click.BadParameter(f'"{value}" is no log. Write NAME=DIR, for instance tensorboard=logs')
        if name not in LOGS:
            raise click.BadParameter(f'there is no log "{name}".{nearest(name, LOGS)} Choose {", ".join(LOGS)}')
        logs.append((name, expand_home(directory)))
    return tuple(logs)


def _results_option(text: str) -> Decorator:
    return click.option(
        "--results",
        "results_directory",
        metavar="DIR",
        type=UserPath(),
        default=DEFAULT_RESULTS,
        show_default=True,
        help=text,
    )


results = _results_option("Results directory to read.")
results_to_extend = _results_option("Results directory to add to; made if it does not exist.")
tables = click.option(
    "--table",
    "keys",
    multiple=True,
    metavar="TABLE",
    shell_complete=complete("stored tables"),
    help="Only these tables (2, a recipe's name, or a title). May be repeated.",
)
protocols = click.option(
    "--protocol",
    "protocols",
    multiple=True,
    metavar="NAME",
    shell_complete=complete("stored protocols"),
    help="Only tables of these protocols (quick, paper). May be repeated.",
)
datasets = click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="NAME",
    shell_complete=complete("stored datasets"),
    help="Only these datasets, as reports or asymbp ls runs name them. May be repeated.",
)
overrides = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=complete("settings"),
    help="Override a value, for instance protocol.epochs=3. May be repeated.",
)
data_dir = click.option(
    "--data-dir",
    metavar="DIR",
    type=UserPath(),
    help="Directory of the datasets. Default: $ASYMBP_DATA, else the user's cache directory.",
)
cache_dir = click.option(
    "--cache-dir",
    metavar="DIR",
    type=UserPath(),
    help="Directory of decoded datasets. Default: $ASYMBP_CACHE, else the user's cache directory.",
)
plugins = click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="FILE",
    type=UserPath(),
    help="A Python file with schemes, update rules, initializations or measures of your own, which is run: code "
    "that you trust. May be repeated.",
)
wide = click.option("--wide", is_flag=True, help="Show all columns, each row in one line, however long.")
quiet = click.option("--quiet", is_flag=True, help="Show no progress.")
device = click.option(
    "--device",
    default="cpu",
    show_default=True,
    metavar="DEVICE",
    callback=_parse_device,
    shell_complete=complete("devices"),
    help="cpu, cuda, cuda:1 or mps.",
)

#: of every command that trains, in the order of its help: what, what is shown, with what, on which data, where
_TRAINING: tuple[Decorator, ...] = (
    overrides,
    _results_option("Results directory. An interrupted study resumes from it."),
    click.option(
        "--dry-run",
        is_flag=True,
        help="Show what would be trained, and for how long. Decodes and downloads nothing.",
    ),
    click.option("--quiet", is_flag=True, help="Print the final table only."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON event per line, the table last."),
    click.option(
        "--device",
        "devices",
        metavar="DEVICE",
        callback=_parse_devices,
        shell_complete=complete("devices"),
        help="cpu, cuda, cuda:1 or mps. Several GPUs, a worker on each: cuda:0,cuda:1 or cuda:all. Default: "
        "cpu, or what --executor says.",
    ),
    click.option(
        "--workers",
        metavar="N",
        type=click.IntRange(1, MOST_WORKERS),
        help="Processes that train at once on the CPU, one thread each, or jobs on a cluster. Default: one per "
        "core that has 0.6 GB of memory, or what --executor says.",
    ),
    data_dir,
    click.option("--download", is_flag=True, help="Download a missing dataset, if that is possible."),
    click.option(
        "--keep-weights",
        type=click.Choice(["best", "last"]),
        help="Keep the weights of each run: of the epoch that its cell would show, or of the last one. "
        "asymbp export RUN --weights FILE.safetensors hands them out.",
    ),
    click.option(
        "--log",
        "logs",
        multiple=True,
        metavar="NAME=DIR",
        callback=_parse_logs,
        shell_complete=complete("logs"),
        help="Log errors, losses and measures of each epoch: tensorboard=DIR. "
        "That needs pip install 'asymbp[tensorboard]'. May be repeated.",
    ),
    plugins,
    click.option(
        "--shard",
        metavar="K/N",
        callback=_parse_shard,
        help="Train the K-th of N parts of the study, for N machines that share nothing: 3/8. The parts depend on "
        "the study alone. asymbp store merge joins their results.",
    ),
    click.option(
        "--executor",
        metavar="NAME",
        shell_complete=complete("executors"),
        help="Where to train: inline, processes, slurm, ray, or a YAML file (recipes/executors/). Default: in "
        "processes of this machine.",
    ),
    click.option("--partition", metavar="NAME", help="With --executor slurm: the partition to use."),
    click.option(
        "--time", metavar="TIME", help="With --executor slurm: the time limit of each job, minutes or 2:30:00."
    ),
    click.option(
        "--address",
        metavar="HOST:PORT",
        help="With --executor ray: the cluster to use, of which this machine is a node; auto finds it. Default: a "
        "Ray of the study's own.",
    ),
    click.option(
        "--gpus-per-worker",
        type=float,
        metavar="SHARE",
        help="With --executor ray: the share of a GPU that a worker takes.",
    ),
    click.option(
        "--attempts",
        metavar="N",
        type=click.IntRange(min=1),
        default=3,
        show_default=True,
        help="Attempts in all at a run whose worker is lost: its process was killed, or its machine is gone. Each "
        "resumes from the last checkpoint.",
    ),
    cache_dir,
)


def training(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every command that trains."""
    for option in reversed(_TRAINING):
        function = option(function)
    return function


def warn(message: str) -> None:
    """Print a message beside the output."""
    click.echo(message, err=True)
