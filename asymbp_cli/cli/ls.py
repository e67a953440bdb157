"""`asymbp ls`."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click
from tabulate import tabulate

from asymbp_cli.cli import options

Rows = tuple[list[str], list[list[str]]]
_NARROWEST = 12


def _datasets(results: Path) -> Rows:
    from asymbp_cli.datasets.catalog import CATALOG

    header = ["name", "in the paper", "classes", "train", "test", "network", "what"]
    rows = [
        [
            d.key,
            d.paper_name or "-",
            str(d.classes),
            *("-" if count is None else str(count) for count in (d.train_count, d.test_count)),
            d.network,
            d.title,
        ]
        for d in CATALOG.values()
    ]
    return header, [
        *rows,
        ["PATH", "-", "any", "any", "any", "large", "a folder, .tar(.gz, .xz) or .zip of images"],
    ]


def _networks(results: Path) -> Rows:
    from asymbp_cli.recipe.networks import NETWORKS

    header = ["name", "input", "layers"]
    return header, [[k, "x".join(map(str, n.input)), ", ".join(n.layers)] for k, n in NETWORKS.items()]


def _schemes(results: Path) -> Rows:
    from asymbp_cli.specs.schemes import SCHEMES

    rows = [[key, scheme.name, scheme.formula, scheme.redrawn] for key, scheme in SCHEMES.items()]
    return ["name", "in the paper", "feedback weights V", "redrawn"], rows


def _methods(results: Path) -> Rows:
    from asymbp_cli.specs.methods import PAPER_METHODS, parse_method

    methods = [(name, parse_method(name)) for name in PAPER_METHODS]
    rows = [
        [n, m.feedback.scheme, f"{m.feedback.flip_probability:g}", m.batch_norm, m.update, m.train]
        for n, m in methods
    ]
    return ["name", "feedback", "flip_probability", "batch_norm", "update", "train"], rows


def _protocols(results: Path) -> Rows:
    from asymbp_cli.recipe.protocols import load_protocol
    from asymbp_cli.recipe.resources import recipes_directory

    rows = []
    for file in sorted((recipes_directory() / "protocols").glob("*.yaml")):
        protocol, _ = load_protocol(file.stem)
        phases = ", ".join(f"{count} at {rate:g}" for count, rate in protocol.schedule())
        multipliers = ", ".join(f"{value:g}" for value in protocol.rate_multipliers)
        rows.append([file.stem, str(protocol.epochs), phases, multipliers])
    return ["name", "epochs", "epochs at rate", "rate multipliers"], rows


def _recipes(results: Path) -> Rows:
    from asymbp_cli.recipe.recipe import load_recipe
    from asymbp_cli.recipe.resources import recipes_directory

    rows = []
    for file in sorted((recipes_directory() / "examples").glob("*.yaml")):
        recipe = load_recipe(file)
        sets = [ref if isinstance(ref, str) else ref.folder for ref in recipe.datasets]
        shown = ", ".join(entry.label for entry in recipe.methods)
        rows.append([_short(file), ", ".join(sets), shown, recipe.protocol_label])
    return ["file", "dataset", "methods", "protocol"], rows


def _short(file: Path) -> str:
    """Return the path as one would type it here."""
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


def _tables(results: Path) -> Rows:
    from asymbp_cli.recipe.table import load_table

    rows = [[t.key, t.title, ", ".join(column.header for column in t.columns)] for t in load_table("all")]
    return ["table", "title", "columns"], rows


def _runs(results: Path) -> Rows:
    import datetime

    from asymbp_cli.results.store import Store

    with Store.open(results, create=False) as store:
        rows = [
            [
                run.id,
                run.method,
                run.dataset,
                f"{run.rate_multiplier:g}",
                str(run.seed),
                run.progress,
                "-" if run.best_percent is None else f"{run.best_percent:.2f}",
                f"{datetime.datetime.fromtimestamp(run.updated):%Y-%m-%d %H:%M}",
            ]
            for run in store.runs()
        ]
    return ["run", "method", "dataset", "rate x", "seed", "state", "best error %", "updated"], rows


_LISTS: dict[str, Callable[[Path], Rows]] = {
    "datasets": _datasets,
    "networks": _networks,
    "schemes": _schemes,
    "methods": _methods,
    "protocols": _protocols,
    "recipes": _recipes,
    "tables": _tables,
    "runs": _runs,
}


@click.command("ls")
@click.argument("what", type=click.Choice(list(_LISTS)))
@options.results
def command(what: str, results_directory: Path) -> None:
    """List what can be named in recipes and commands, or the runs of a results directory.

    \b
    Example:
      asymbp ls methods
      asymbp ls runs --results results
    """
    header, rows = _LISTS[what](results_directory)
    click.echo(
        tabulate(rows, header, tablefmt="simple", disable_numparse=True, maxcolwidths=_widths(header, rows))
    )


def _widths(header: list[str], rows: list[list[str]]) -> list[int] | None:
    """Return column widths that fit the terminal by wrapping the widest ones; None without a terminal."""
    if not sys.stdout.isatty() or not rows:
        return None
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    room = shutil.get_terminal_size().columns - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths
