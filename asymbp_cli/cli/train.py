"""`asymbp train`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from asymbp_cli.cli import asked_options, options
from asymbp_cli.errors import UsageError

if TYPE_CHECKING:
    from asymbp_cli.api.variation import Rule


@click.command("train")
@asked_options.recipes
@asked_options.rule
@asked_options.seeds("that of the recipe")
@options.training
def command(
    named: Sequence[str],
    recipes: Sequence[str],
    rule: "Rule | None",
    seed: int | None,
    seeds: int | None,
    overrides: tuple[str, ...],
    **chosen: Any,
) -> int:
    """Train recipes: each at every rate multiplier of its protocol, on every dataset, with every method it names.

    RECIPE is a YAML file, or the name of a recipe that comes with the tool (asymbp ls recipes). These names go
    first: a file of such a name is ./NAME. Several are one study: what they share is trained once.

    \b
    Example:
      asymbp train usf-digits
      asymbp train my.yaml --set protocol.epochs=3 --workers 2
      asymbp train my.yaml other.yaml --rule held-out --seeds 5
      asymbp train my.yaml --plugin my_scheme.py
      asymbp train my.yaml --shard 3/8
    """
    from asymbp_cli.api.asked import join_asked, prepare_recipe
    from asymbp_cli.api.variation import agree_on_weights, load_recipes
    from asymbp_cli.cli.execute import execute, read_options

    files = asked_options.find_recipes(named, recipes)
    if not files:
        raise UsageError("nothing to train. Name a recipe: a YAML file, or one of asymbp ls recipes")
    settings = read_options(**chosen)
    loaded = load_recipes(files, rule, asked_options.choose_seeds(seed, seeds), overrides)
    settings = replace(settings, keep_weights=settings.keep_weights or agree_on_weights(loaded))
    return execute(join_asked([prepare_recipe(recipe, settings.source) for recipe in loaded]), settings)
