"""`asymbp schema`."""

import json
from pathlib import Path

import click

from asymbp_cli.cli import options


@click.command("schema")
@options.plugins
def command(plugins: tuple[Path, ...]) -> None:
    """Print the JSON Schema of recipes, for editors.

    \b
    Example:
      asymbp schema > recipe.schema.json
    """
    from asymbp_cli.api.load_plugins import load_plugins
    from asymbp_cli.recipe.format import recipe_schema

    load_plugins(plugins)
    click.echo(json.dumps(recipe_schema(), indent=2))
