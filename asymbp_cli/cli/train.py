"""`asymbp train`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from asymbp_cli.cli import options


@click.command("train")
@click.option("--recipe", type=options.UserPath(), required=True, help="The YAML file to train.")
@options.training
def command(recipe: Path, overrides: tuple[str, ...], **chosen: Any) -> int:
    """Train a recipe: every rate multiplier of its protocol, on every dataset, with every method it names.

    \b
    Example:
      asymbp train --recipe recipes/examples/usf-digits.yaml
      asymbp train --recipe my.yaml --set protocol.epochs=3 --workers 2
      asymbp train --recipe my.yaml --plugin my_scheme.py
      asymbp train --recipe my.yaml --shard 3/8
    """
    from asymbp_cli.api.asked import prepare_recipe
    from asymbp_cli.cli.execute import execute, read_options
    from asymbp_cli.recipe.recipe import load_recipe

    settings = read_options(**chosen)
    loaded = load_recipe(recipe, overrides)
    settings = replace(settings, keep_weights=settings.keep_weights or loaded.keep_weights)
    return execute(prepare_recipe(loaded, settings.source), settings)
