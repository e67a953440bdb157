"""What a YAML file is by its keys: a recipe, or what recipes and commands name: a table, a protocol, a network,
an executor.
"""

import shlex
from pathlib import Path
from typing import Literal

from asymbp_cli.recipe.document import Document
from asymbp_cli.recipe.format import RECIPE_KEYS
from asymbp_cli.recipe.networks import NetworkFile
from asymbp_cli.recipe.table import TABLE_KEYS
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.text import list_some

Kind = Literal["recipe", "table", "protocol", "network", "executor"]
_USES: dict[Kind, str] = {
    "table": "Train it with asymbp reproduce --table {file}",
    "protocol": "Name it in a recipe: protocol: {file}",
    "network": "Name it in a recipe: network: {file}",
    "executor": "Name it with --executor {file}",
}
#: keys that decide, whatever else a file has: the first of these kinds counts
_DECISIVE: dict[Kind, frozenset[str]] = {
    "executor": frozenset({"executor"}),
    "table": frozenset({"columns"}),
    "recipe": frozenset({"dataset", "method", "feedback"}),
    "network": frozenset({"layers"}),
}
_SHARED = {"title", "network", "protocol"}  # of recipes and tables
#: otherwise the kind that most of its keys are of
_KEYS: dict[Kind, frozenset[str]] = {
    "protocol": frozenset({"extends", *Protocol.model_fields}),
    "network": frozenset(NetworkFile.model_fields),
    "table": frozenset(TABLE_KEYS) - _SHARED,
    "recipe": frozenset(RECIPE_KEYS),
}
_MARKS = "a table has columns, a network layers, an executor executor, a protocol only epochs and the like"


def find_kind(document: Document) -> Kind:
    """Return the kind of a file; a recipe if its keys do not tell."""
    keys = _keys_of(document)
    for kind, decisive in _DECISIVE.items():
        if keys & decisive:
            return kind
    counts = {kind: len(keys & known) for kind, known in _KEYS.items()}
    return max(counts, key=lambda kind: counts[kind]) if any(counts.values()) else "recipe"


def explain_kind(document: Document) -> str:
    """Return why a file was read as its kind; empty if no key of it could mean another one."""
    kind, keys = find_kind(document), _keys_of(document)
    known = _KEYS.get(kind, frozenset())
    own = keys & _DECISIVE.get(kind, known) or keys & known
    if not own:
        return f"was read as {describe_kind(kind)}, since no key tells: {_MARKS}"
    doubts = [
        f"; not as {describe_kind(other)}, although it has {list_some(sorted(foreign))}"
        for other, others in _KEYS.items()
        if other != kind and (foreign := keys & others - known - _SHARED)
    ]
    reason = f"was read as {describe_kind(kind)}, since it has {list_some(sorted(own))}"
    return reason + "".join(doubts) if doubts else ""


def _keys_of(document: Document) -> set[str]:
    return document.data.keys() | set(document.unreadable)


def describe_kind(kind: Kind) -> str:
    """Return a kind with its article."""
    return f"an {kind}" if kind == "executor" else f"a {kind}"


def explain_use(kind: Kind, file: Path) -> str:
    """Return the message for a file of another kind in place of a recipe."""
    return f"{file}: is {describe_kind(kind)}, not a recipe. {_USES[kind].format(file=shlex.quote(str(file)))}"
