"""Options that say what is trained: recipes, tables, datasets, protocol, rule and seeds."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from asymbp_cli.cli.names import complete
from asymbp_cli.errors import UsageError
from asymbp_cli.files.paths import exists, expand_home
from asymbp_cli.recipe.resources import is_inline

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def check_one(text: str, before: str) -> None:
    """Raise UsageError if a name is a list with commas, which is written with `before` before each name."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 1 and all(parts) and not is_inline(text) and not exists(expand_home(text)):
        apart = " ".join(f"{before}{part}" for part in parts)
        raise UsageError(f'"{text}" is read as one name. For several write {apart}')


def check_each(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return names, of which none may be empty, or a list with commas."""
    for value in values:
        check_named(context, parameter, value)
        check_one(value, f"{parameter.opts[0]} " if isinstance(parameter, click.Option) else "")
    return values


def check_named(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return a name that is not empty."""
    if value == "":
        raise click.BadParameter("it is empty, perhaps from a variable that is not set")
    return value


def recipes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument and the option that name recipes, for `find_recipes`."""
    shared: dict[str, Any] = {"callback": check_each, "shell_complete": complete("recipes")}
    text = "RECIPE, written as an option. May be repeated."
    option = click.option("--recipe", "recipes", multiple=True, metavar="RECIPE", help=text, **shared)
    argument = click.argument("named", nargs=-1, metavar="[RECIPE]...", **shared)
    return argument(option(function))


def find_recipes(named: Sequence[str], recipes: Sequence[str]) -> list[Path]:
    """Return the files of the recipes that are named without or with --recipe.

    Raises UsageError if both are, or there is no such recipe, with the nearest name.
    """
    from asymbp_cli.recipe.examples import find_recipe

    if named and recipes:
        raise UsageError("RECIPE is named with --recipe and without. Write all of them in one way")
    return [find_recipe(name) for name in (*named, *recipes)]


def tables(*, required: bool) -> Decorator:
    """Return the option that names tables to train."""
    return click.option(
        "--table",
        "tables",
        multiple=True,
        required=required,
        metavar="TABLE",
        callback=check_each,
        shell_complete=complete("tables"),
        help="A name (asymbp ls tables), all (of the paper), or a file. May be repeated.",
    )


def datasets(text: str) -> Decorator:
    """Return the option that names datasets to train on."""
    return click.option(
        "--dataset",
        "names",
        multiple=True,
        metavar="NAME",
        callback=check_each,
        shell_complete=complete("datasets or all"),
        help=text,
    )


network = click.option(
    "--network",
    metavar="NAME",
    callback=check_named,
    shell_complete=complete("networks"),
    help="A name (asymbp ls networks), or a file. Default: that of the table, else the paper's for each dataset; "
    "the large one for your own images, which is slow on a CPU.",
)


def protocol(text: str) -> Decorator:
    """Return the option that names a protocol."""
    text = f"A name (asymbp ls protocols), or a file. {text}"
    shared: dict[str, Any] = {"callback": check_named, "shell_complete": complete("protocols")}
    return click.option("--protocol", metavar="NAME", help=text, **shared)


rule = click.option(
    "--rule",
    type=click.Choice(["paper", "held-out"]),
    help="How a cell picks rate and epoch: `paper`, by the error on the test set; `held-out`, on a part of the "
    "training set that is held out, a tenth unless the protocol says how much. Default: as the protocol says.",
)


class _Seeds(click.IntRange):
    """A number of seeds, or a seed; a list of seeds is explained."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; raises click.BadParameter."""
        if "," in str(value):
            self.fail(f"{value} is a list. For the seeds 3, 4 and 5 write --seed 3 --seeds 3", param, ctx)
        return super().convert(value, param, ctx)


def seeds(default: str) -> Decorator:
    """Return the options --seed and --seeds, for `choose_seeds`; `default` says what is trained without."""
    first = click.option("--seed", metavar="N", type=_Seeds(min=0), help=f"The first seed. Default: {default}.")
    count = click.option(
        "--seeds",
        metavar="K",
        type=_Seeds(1, 1000),
        help="Train everything with K seeds, from --seed on (0 without it); a cell is then their median.",
    )
    return lambda function: first(count(function))


def choose_seeds(seed: int | None, seeds: int | None) -> range | None:
    """Return the seeds that --seed and --seeds ask for; None without both."""
    if seed is None and seeds is None:
        return None
    return range(seed or 0, (seed or 0) + (seeds or 1))
