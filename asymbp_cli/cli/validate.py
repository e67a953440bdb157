"""`asymbp validate`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asymbp_cli.cli import options
from asymbp_cli.cli.names import complete
from asymbp_cli.cli.write import write_text
from asymbp_cli.errors import AsymbpError, RecipeError, UsageError
from asymbp_cli.files.paths import exists, expand_home
from asymbp_cli.text import printable_path

if TYPE_CHECKING:
    from asymbp_cli.recipe.kinds import Kind


@click.command("validate")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=complete("recipes"))
@options.overrides
@options.plugins
@click.option("--resolved", is_flag=True, help="Print each recipe with all its defaults filled in.")
def command(files: tuple[str, ...], overrides: tuple[str, ...], plugins: tuple[Path, ...], resolved: bool) -> None:
    """Check recipes, and files of tables, protocols, networks and executors, without training.

    Prints all problems at once. Images need not be there: a recipe is valid without them, and a note says which
    are missing. FILE may also be the name of a recipe, as in train.

    \b
    Example:
      asymbp validate my.yaml other.yaml
      asymbp validate --resolved my.yaml --set protocol.epochs=3
    """
    from asymbp_cli.api.load_plugins import load_plugins
    from asymbp_cli.recipe.examples import find_recipe

    load_plugins(plugins)
    problems: list[str] = []
    for written in files:
        try:
            problems += _check(find_recipe(written), overrides, resolved=resolved)
        except RecipeError as error:
            problems += error.problems
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise RecipeError(dict.fromkeys(problems))


def _check(file: Path, overrides: tuple[str, ...], *, resolved: bool) -> Sequence[str]:
    """Print that a file is valid; otherwise return its problems, and why it was taken for what."""
    from asymbp_cli.recipe.kinds import describe_kind, explain_kind, find_kind
    from asymbp_cli.recipe.yamlfile import read_yaml

    document = read_yaml(file)
    kind = find_kind(document)
    try:
        if kind == "recipe" or resolved or overrides:
            _check_recipe(file, overrides, resolved=resolved)
        else:
            _load_part(kind, file)
            click.echo(f"{printable_path(file)}: ok, {describe_kind(kind)}")
    except RecipeError as error:
        reason = explain_kind(document)
        return [*error.problems, *([f"{file}: {reason}"] if reason else [])]
    except AsymbpError as error:
        return [f"{file}: {error}"]
    return []


def _check_recipe(file: Path, overrides: tuple[str, ...], *, resolved: bool) -> None:
    """Print that a recipe is valid, and which images are missing; raises RecipeError."""
    from asymbp_cli.recipe.recipe import load_recipe, resolved_yaml

    recipe = load_recipe(file, overrides)
    if resolved:
        write_text(resolved_yaml(recipe).rstrip() + "\n", None)
    else:
        click.echo(f"{printable_path(file)}: ok, a recipe")
    for ref in recipe.datasets:
        if not isinstance(ref, str) and not exists(expand_home(ref.folder)):
            click.echo(f"{printable_path(file)}: note: the images in {ref.folder} are not here", err=True)


def _load_part(kind: "Kind", file: Path) -> None:
    """Read a file of a table, a protocol, a network or an executor; raises RecipeError."""
    from asymbp_cli.executors.registry import load_executor
    from asymbp_cli.recipe.networks import load_network
    from asymbp_cli.recipe.protocols import load_protocol
    from asymbp_cli.recipe.table import load_table_file

    path = str(file) if len(file.parts) > 1 else f"./{file}"
    loaders: dict[Kind, Callable[[Path], object]] = {
        "table": load_table_file,
        "protocol": lambda _: load_protocol(path),
        "network": load_network,
        "executor": lambda _: load_executor(path),
    }
    loaders[kind](file)
