"""Recipes as a user writes them, in the working directory."""

from pathlib import Path

import pytest

from asymbp_cli.errors import RecipeError
from asymbp_cli.recipe.recipe import Recipe, load_recipe
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.recipe.yamlfile import parse_yaml
from asymbp_cli.specs.protocol import Protocol

PROTOCOLS = sorted((recipes_directory() / "protocols").rglob("*.yaml"))


PAPER = Protocol(batch_norm_short_epochs="cycle")

PLAIN = {"dataset": "digits", "method": "uSF", "protocol": "demo"}


def load(text: str, *overrides: str) -> Recipe:
    """Return the recipe in a file of that text."""
    Path("mine.yaml").write_text(text)
    return load_recipe(Path("mine.yaml"), overrides)


def plain(*overrides: str, **changes: str | None) -> Recipe:
    """Return a plain recipe with lines changed (YAML), or left out (None)."""
    lines = {key: value for key, value in (PLAIN | changes).items() if value is not None}
    return load("".join(f"{key}: {value}\n" for key, value in lines.items()), *overrides)


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load(text, *overrides)
    return list(caught.value.problems)


def document_problems(text: str) -> list[str]:
    """Return the problems of a document, as a user sees them."""
    with pytest.raises(RecipeError) as caught:
        parse_yaml(text, "f.yaml").raise_problems()
    return list(caught.value.problems)
