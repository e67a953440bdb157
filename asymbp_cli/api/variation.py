"""What changes a recipe from outside: another rule, other seeds; and several recipes as one study."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from asymbp_cli.errors import RecipeError, UsageError
from asymbp_cli.recipe.protocols import change_protocol
from asymbp_cli.recipe.recipe import Recipe, load_recipe
from asymbp_cli.specs.modules import WhichWeights
from asymbp_cli.specs.protocol import Protocol

Rule = Literal["paper", "held-out"]

#: rule -> the share of the training set that is held out; the paper does not say how much
_FRACTIONS: dict[str | None, float] = {"paper": 0.0, "held-out": 0.1}
_FRACTION_KEY = "protocol.validation_fraction"


def follow_rule(
    protocol: Protocol, label: str, rule: Rule | None, overrides: Sequence[str] = ()
) -> tuple[Protocol, str]:
    """Return a protocol that picks cells by a rule, and its label; a share that it holds out already stays.

    Raises UsageError if the rule is none, or an override says the opposite.
    """
    if rule not in (None, *_FRACTIONS):  # it may have no hash
        raise UsageError(f'the rule is "paper" or "held-out", not {rule!r}')
    fraction = protocol.validation_fraction
    if rule is None or (rule == "held-out") == (fraction > 0):
        return protocol, label
    if _FRACTION_KEY in _list_keys(overrides):
        raise UsageError(f"--rule {rule} contradicts --set {_FRACTION_KEY}={fraction:g}. Leave one of them out")
    return change_protocol(protocol, label, validation_fraction=_FRACTIONS[rule])


def load_recipes(
    files: Sequence[Path], rule: Rule | None, seeds: Sequence[int] | None, overrides: Sequence[str]
) -> list[Recipe]:
    """Return the recipes in files, each as `vary` changes it; raises RecipeError with the problems of all."""
    found: list[Recipe] = []
    problems: list[str] = []
    for file in files:
        try:
            found.append(load_recipe(file, overrides))
        except RecipeError as error:
            problems += error.problems
    if problems:
        raise RecipeError(dict.fromkeys(problems))
    return [vary(recipe, rule, seeds, overrides) for recipe in found]


def vary(recipe: Recipe, rule: Rule | None, seeds: Sequence[int] | None, overrides: Sequence[str] = ()) -> Recipe:
    """Return a recipe as if it said the rule and the seeds itself; None keeps its own.

    Raises UsageError if an override says something else.
    """
    protocol, label = follow_rule(recipe.protocol, recipe.protocol_label, rule, overrides)
    held_out = {"validation_fraction": protocol.validation_fraction}  # the same for all methods
    methods = [
        method.model_copy(
            update={
                "procedure": method.procedure.model_copy(
                    update={"protocol": method.procedure.protocol.model_copy(update=held_out)}
                )
            }
        )
        for method in recipe.methods
    ]
    if seeds is not None and "seed" in _list_keys(overrides):
        raise UsageError("--seed and --seeds contradict --set seed. Leave one of them out")
    return recipe.model_copy(
        update={
            "protocol": protocol,
            "protocol_label": label,
            "methods": tuple(methods),
            "seeds": recipe.seeds if seeds is None else tuple(seeds),
        }
    )


def _list_keys(overrides: Sequence[str]) -> set[str]:
    """Return the keys that overrides set."""
    return {override.partition("=")[0].strip() for override in overrides}


def agree_on_weights(recipes: Sequence[Recipe]) -> WhichWeights | None:
    """Return which weights all recipes of a study keep; raises UsageError if they differ."""
    kept = {recipe.keep_weights for recipe in recipes}
    if len(kept) > 1:
        listed = ", ".join(f"{recipe.name} keeps {recipe.keep_weights or 'none'}" for recipe in recipes)
        raise UsageError(
            f"recipes of one study keep the same weights: {listed}. Train them one after another, or say for all "
            "--keep-weights best or last"
        )
    return kept.pop() if kept else None
