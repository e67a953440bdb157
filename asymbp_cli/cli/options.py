"""Options that several commands share."""

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _device(context: click.Context, parameter: click.Parameter, name: str) -> str:
    """Return a device's name as torch writes it; whether this machine has it is found out later."""
    kind, colon, number = name.lower().partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not number.isdecimal()):
        raise click.BadParameter(f'"{name}" is not a device; there are cpu, cuda, cuda:1 (the second GPU) and mps')
    if kind == "cuda":
        return f"cuda:{int(number or 0)}"  # a GPU always has an index
    return kind if kind == "cpu" else f"{kind}{colon}{number}"


def _results(text: str) -> Decorator:
    path = click.Path(path_type=Path)
    default = Path("results")
    return click.option("--results", "results_directory", type=path, default=default, show_default=True, help=text)


results = _results("Directory of the results to read.")
_RESULTS_TO_WRITE = _results("Directory of the results; what was interrupted goes on from there.")
overrides = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a value, for instance protocol.epochs=3. May be repeated.",
)
data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Where datasets lie. Default: $ASYMBP_DATA, else the user's cache directory.",
)
cache_dir = click.option(
    "--cache-dir",
    type=click.Path(path_type=Path),
    help="Where decoded datasets are kept. Default: $ASYMBP_CACHE, else the user's cache directory.",
)
quiet = click.option("--quiet", is_flag=True, help="Show no progress.")
_DATA = (
    data_dir,
    cache_dir,
    click.option("--download", is_flag=True, help="Download a dataset that is missing, where that is possible."),
)
device = click.option(
    "--device", default="cpu", show_default=True, callback=_device, help="cpu, cuda, cuda:1 or mps."
)
_EXECUTION = (
    device,
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        help="Processes that train at once on the CPU, one thread each. Default: one per core.",
    ),
    click.option("--dry-run", is_flag=True, help="Say what would be trained, and stop."),
    click.option("--quiet", is_flag=True, help="Print the final table only."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON event a line, the table last."),
)


def training(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every command that trains."""
    chain: list[Decorator] = [overrides, *_DATA, *_EXECUTION, _RESULTS_TO_WRITE]
    return reduce(lambda wrapped, option: option(wrapped), reversed(chain), function)
