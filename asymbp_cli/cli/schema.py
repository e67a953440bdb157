"""`asymbp schema`."""

import json
from pathlib import Path

import click

from asymbp_cli.cli import options

_KINDS = ["recipe", "table", "protocol", "network", "executor"]


@click.command("schema")
@click.argument("kind", type=click.Choice(_KINDS), default="recipe")
@options.plugins
def command(kind: str, plugins: tuple[Path, ...]) -> None:
    """Print the JSON Schema of a kind of files, for editors: of recipes, if none is named.

    An editor with the YAML language server uses it if a file has this line:
    # yaml-language-server: $schema=recipe.json

    \b
    Example:
      asymbp schema > recipe.json
      asymbp schema table > table.json
    """
    from asymbp_cli.api.load_plugins import load_plugins
    from asymbp_cli.executors.schema import executor_schema
    from asymbp_cli.recipe.schemas import SCHEMAS

    load_plugins(plugins)
    make = {**SCHEMAS, "executor": executor_schema}[kind]
    click.echo(json.dumps(make(), indent=2))
