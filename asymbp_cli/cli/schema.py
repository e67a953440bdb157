"""`asymbp schema`."""

import json

import click


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of recipes, for editors.

    \b
    Example:
      asymbp schema > recipe.schema.json
    """
    from asymbp_cli.recipe.format import recipe_schema

    click.echo(json.dumps(recipe_schema(), indent=2))
