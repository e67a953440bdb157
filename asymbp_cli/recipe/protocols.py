"""Protocols as users write them: a name, a file, or a mapping that extends one of these."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.document import SHORTHANDS, Node, make_document
from asymbp_cli.recipe.overrides import override_values
from asymbp_cli.recipe.procedure import label_changes
from asymbp_cli.recipe.resources import find_file, named_files, names_a_file, recipes_directory
from asymbp_cli.recipe.wording import quote
from asymbp_cli.recipe.yamlfile import read_yaml
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.references import check_registered
from asymbp_cli.text import nearest, printable

_FOLDER = recipes_directory() / "protocols"


def protocol_files() -> dict[str, Path]:
    """Return the files of the protocols that come with the tool, by name."""
    return named_files(_FOLDER.name)


def load_protocol(written: str | Mapping[str, Any], overrides: Sequence[str] = ()) -> tuple[Protocol, str]:
    """Return a protocol and its label: `paper`, or `paper with epochs=3`; overrides begin with `protocol.`.

    It is written as a name, a path, or a mapping as in recipes. Raises RecipeError or UsageError.
    """
    content = {"extends": written} if isinstance(written, str) else written
    if "extends" in content:
        _find_file(content["extends"], Path())
    document = make_document("protocol", {"protocol": content})
    for override in overrides:
        if not override.startswith("protocol."):
            raise UsageError(
                f"--set {override}: here only protocol.KEY=VALUE can be set; --network names a network"
            )
    override_values(document, overrides, SHORTHANDS)
    protocol, label = read_protocol(document.root["protocol"], Path())
    document.raise_problems()
    return protocol or Protocol(), label


def read_protocol(node: Node, folder: Path) -> tuple[Protocol | None, str]:
    """Return the protocol that a recipe in `folder` writes, and its label; problems are noted.

    The label names the tool's protocol that it extends in the end, and what differs from that.
    """
    if node.value is None:
        node.note("is missing. Write protocol: paper, quick or demo, or {extends: demo, epochs: 3}")
        return None, ""
    if isinstance(node.value, str):
        changes, base_node = {"extends": node.value}, node
    elif node.is_mapping:
        changes, base_node = dict(node.value), node["extends"]
    else:
        node.note(f"must be a name or a mapping, not {quote(node.value)}")
        return None, ""
    base = base_node.attempt(_load_file, changes.pop("extends", "paper"), folder)
    start, root = base or (Protocol(), "paper")
    protocol = _change(start, node, changes)
    if protocol is None:
        return None, ""
    for key, names in (("initialization", [protocol.initialization]), ("measure", protocol.measure)):
        node[key].attempt(check_registered, names)
    return protocol, label_protocol(root, protocol)


def label_protocol(root: str, protocol: Protocol) -> str:
    """Return the label of a protocol that extends the tool's `root`: `paper`, or `paper with epochs=3`."""
    return root + label_changes(_load_file(root, Path())[0], protocol)


def change_protocol(protocol: Protocol, label: str, **changes: Any) -> tuple[Protocol, str]:
    """Return a protocol with other values of some fields, and its label."""
    changed = Protocol.model_validate(protocol.model_dump() | changes)
    return changed, label_protocol(label.partition(" with ")[0], changed)


def _change(start: Protocol, node: Node, changes: Mapping[str, Any]) -> Protocol | None:
    """Return a protocol with the changes that a node writes; what is wrong is noted."""
    if node.is_mapping:
        node.has_only(("extends", *Protocol.model_fields))
    known = {key: value for key, value in changes.items() if key in Protocol.model_fields}
    return node.validate(Protocol, start.model_dump() | known)


def _load_file(name: Any, folder: Path, seen: tuple[Path, ...] = ()) -> tuple[Protocol, str]:
    """Return a protocol, and the name of the tool's protocol that it is, or extends in the end."""
    document = read_yaml(found := _find_file(name, folder))
    file = found.resolve()  # which fails in a circle of symbolic links, had it not been read
    if file in seen:
        raise UsageError(f"protocols extend each other in a circle: {' -> '.join(map(str, (*seen, file)))}")
    content = dict(document.data)
    is_the_tools = file.parent == _FOLDER.resolve()
    if "extends" not in content and not is_the_tools:
        content["extends"] = "paper"
    start: tuple[Protocol, str] | None = (Protocol(), "paper")
    if "extends" in content:
        base = content.pop("extends")
        start = document.root["extends"].attempt(_load_file, base, file.parent, (*seen, file))
    protocol, root = start or (Protocol(), "")
    changed = _change(protocol, document.root, content)
    document.raise_problems()
    return changed or protocol, file.stem if is_the_tools else root


def _find_file(name: Any, folder: Path) -> Path:
    """Return the file of a protocol that comes with the tool, or of the user's own, seen from `folder`."""
    if not isinstance(name, str) or not printable(name):
        raise UsageError(f"must be the name of a protocol, not {quote(name)} (asymbp ls protocols)")
    known = protocol_files()
    if name.lower() in known:
        return known[name.lower()]
    if names_a_file(name):
        return find_file(name, folder)
    raise UsageError(
        f'"{name}" is not a protocol; there are {", ".join(known)}, or the path of a file.{nearest(name, known)} '
        "(asymbp ls protocols)"
    )
