"""`asymbp validate`."""

from pathlib import Path

import click

from asymbp_cli.cli import options
from asymbp_cli.errors import RecipeError
from asymbp_cli.text import printable_path


@click.command("validate")
@click.argument("files", nargs=-1, required=True, type=options.UserPath())
@options.overrides
@click.option("--resolved", is_flag=True, help="Print each recipe with all its defaults filled in.")
def command(files: tuple[Path, ...], overrides: tuple[str, ...], resolved: bool) -> None:
    """Check recipe files without training. Prints all problems of all files at once.

    \b
    Example:
      asymbp validate recipes/examples/*.yaml
      asymbp validate --resolved my.yaml --set protocol.epochs=3
    """
    from asymbp_cli.recipe.recipe import load_recipe, resolved_yaml

    problems: list[str] = []
    for file in files:
        try:
            recipe = load_recipe(file, overrides)
        except RecipeError as error:
            problems += error.problems
            continue
        click.echo(resolved_yaml(recipe).rstrip() if resolved else f"{printable_path(file)}: ok")
    if problems:
        raise RecipeError(problems)
