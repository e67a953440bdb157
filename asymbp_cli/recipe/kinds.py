"""What a YAML file is by its keys: a recipe, or what recipes and commands name: a table, a protocol, a network,
an executor.
"""

from pathlib import Path
from typing import Literal

from asymbp_cli.recipe.document import Document
from asymbp_cli.recipe.format import RECIPE_KEYS
from asymbp_cli.specs.protocol import Protocol

Kind = Literal["recipe", "table", "protocol", "network", "executor"]
_USES: dict[Kind, str] = {
    "table": "Train it with asymbp reproduce --table {file}",
    "protocol": "Name it in a recipe: protocol: {file}",
    "network": "Name it in a recipe: network: {file}",
    "executor": "Name it with --executor {file}",
}


def find_kind(document: Document) -> Kind:
    """Return the kind of a file; a recipe if its keys do not tell."""
    keys = set(document.data)
    if "executor" in keys:
        return "executor"
    if keys & set(RECIPE_KEYS) - {"title", "network", "protocol"}:
        return "recipe"
    if keys & {"columns", "kind"}:
        return "table"
    if keys & set(RECIPE_KEYS) - {"title"}:
        return "recipe"
    if "layers" in keys:
        return "network"
    return "protocol" if keys and keys <= {"extends", *Protocol.model_fields} else "recipe"


def describe_kind(kind: Kind) -> str:
    """Return a kind with its article."""
    return f"an {kind}" if kind == "executor" else f"a {kind}"


def explain_use(kind: Kind, file: Path) -> str:
    """Return the message for a file of another kind in place of a recipe."""
    return f"{file}: is {describe_kind(kind)}, not a recipe. {_USES[kind].format(file=file)}"
