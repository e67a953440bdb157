"""Recipes: what a user writes in YAML -> resolved, validated specs; and back, with every default filled in."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from asymbp_cli.datasets.catalog import DatasetRef, FolderSource, parse_dataset
from asymbp_cli.errors import UsageError
from asymbp_cli.paths import exists, expand_home
from asymbp_cli.recipe.network import check_inputs, read_network
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.recipe.wording import KeyPath
from asymbp_cli.recipe.yamlfile import Checker, Document, dump, lay_over, read
from asymbp_cli.specs.base import Spec, is_label
from asymbp_cli.specs.methods import Feedback, Method, method_name, parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import SHARED_FIELDS, Protocol
from asymbp_cli.specs.schemes import find_scheme
from asymbp_cli.text import nearest, printable, printable_path, yaml_value

_SHORTHANDS = {"protocol": "extends", "feedback": "scheme"}
_METHOD_KEYS = ("feedback", "batch_norm", "update", "train")
_KEYS = ("title", "dataset", "network", "method", *_METHOD_KEYS, "protocol", "seed")
_PROTOCOLS = recipes_directory() / "protocols"


class MethodEntry(Spec):
    """A column of a recipe: a method under a protocol."""

    label: str
    method: Method
    protocol: Protocol


class Recipe(Spec):
    """A resolved recipe. `network` None means each dataset's own."""

    name: str
    title: str | None
    datasets: Annotated[tuple[str | FolderSource, ...], Field(strict=False, min_length=1)]
    network: Network | None
    methods: Annotated[tuple[MethodEntry, ...], Field(strict=False, min_length=1)]
    protocol: Protocol
    protocol_label: str
    seeds: Annotated[tuple[int, ...], Field(strict=False, min_length=1)]


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe in `path` with `overrides` (`protocol.epochs=3`) applied.

    Raises RecipeError with all problems, each as `file:line: key.path: what; what is allowed; what to type`.
    """
    document = read(path, overrides, _SHORTHANDS)
    checker = Checker(document)
    data = document.data
    checker.keys((), data, _KEYS)
    protocol, label = _protocol(checker, data.get("protocol"), path.parent)
    datasets = _datasets(checker, data.get("dataset"), path.parent)
    network = read_network(checker, data.get("network"))
    check_inputs(checker, network, datasets)
    methods = _methods(checker, data, protocol or Protocol())
    seeds = _seeds(checker, data.get("seed", 0))
    title = data.get("title")
    if title is not None and not is_label(title):
        checker.add(("title",), f"must be text on one line, not {yaml_value(title)}")
    checker.finish()
    return Recipe(
        name=printable_path(path.stem),
        title=title,
        datasets=tuple(datasets),
        network=network,
        methods=tuple(methods),
        protocol=protocol or Protocol(),
        protocol_label=label,
        seeds=tuple(seeds),
    )


def load_protocol(name_or_path: str, overrides: Sequence[str] = ()) -> tuple[Protocol, str]:
    """Return a protocol and its label: `paper`, or `paper with epochs=3`; overrides begin with `protocol.`.

    Raises RecipeError or UsageError.
    """
    _protocol_file(name_or_path, Path())
    document = Document("", {"protocol": {"extends": name_or_path}})
    for override in overrides:
        if not override.startswith("protocol."):
            raise UsageError(f"--set {override}: here only protocol.KEY=VALUE can be set")
        lay_over(document, override, _SHORTHANDS)
    checker = Checker(document)
    protocol, label = _protocol(checker, document.data["protocol"], Path())
    checker.finish()
    return protocol or Protocol(), label


def _protocol_file(name: Any, folder: Path) -> Path:
    """Return the file of a protocol that comes with the tool, or of the user's own, seen from `folder`."""
    if not isinstance(name, str) or not printable(name):
        raise UsageError(f"must be the name of a protocol, not {yaml_value(name)} (asymbp ls protocols)")
    known = {file.stem: file for file in sorted(_PROTOCOLS.glob("*.yaml"))}
    if name.lower() in known:
        return known[name.lower()]
    if "/" in name or name.endswith((".yaml", ".yml")):
        return Path(_beside(name, folder))
    raise UsageError(
        f'"{name}" is not a protocol; there are {", ".join(known)}, or the path of a file.{nearest(name, known)} '
        "(asymbp ls protocols)"
    )


def _beside(path: str, folder: Path) -> str:
    """Return `path`, or where it leads from `folder` if it leads nowhere from here."""
    is_beside = not exists(expand_home(path)) and exists(folder / path)
    return str(folder / path) if is_beside else path


def _read_protocol(name: Any, folder: Path, seen: tuple[Path, ...] = ()) -> tuple[Protocol, str]:
    """Return a protocol, and the name of the tool's protocol that it is, or extends in the end."""
    file = _protocol_file(name, folder).resolve()
    if file in seen:
        raise UsageError(f"protocols extend each other in a circle: {' -> '.join(map(str, (*seen, file)))}")
    checker = Checker(read(_protocol_file(name, folder)))
    content, is_named = dict(checker.document.data), file.parent == _PROTOCOLS.resolve()
    if "extends" not in content and not is_named:
        content["extends"] = "paper"
    start: tuple[Protocol, str] | None = (Protocol(), "paper")
    if "extends" in content:
        base = content.pop("extends")
        start = checker.attempt(("extends",), _read_protocol, base, file.parent, (*seen, file))
    protocol, root = start or (Protocol(), "")
    found = checker.attempt((), Protocol.model_validate, protocol.model_dump() | content)
    checker.finish()
    return found or protocol, file.stem if is_named else root


def _protocol(checker: Checker, written: Any, folder: Path) -> tuple[Protocol | None, str]:
    """Return the protocol that a recipe writes and its label: the tool's protocol, and what differs from it."""
    path: KeyPath = ("protocol",)
    if written is None:
        checker.add(path, "is missing; write protocol: paper, quick or demo, or {extends: demo, epochs: 3}")
        return None, ""
    if not isinstance(written, str | Mapping):
        checker.add(path, f"must be a name or a mapping, not {yaml_value(written)}")
        return None, ""
    changes = {"extends": written} if isinstance(written, str) else dict(written)
    where = path if isinstance(written, str) else (*path, "extends")
    base = checker.attempt(where, _read_protocol, changes.pop("extends", "paper"), folder)
    start, root = base or (Protocol(), "paper")
    found = checker.attempt(path, Protocol.model_validate, start.model_dump() | changes)
    if found is None:
        return None, ""
    return found, root + _remark(_read_protocol(root, folder)[0], found)


def _remark(base: Protocol, found: Protocol) -> str:
    changes = ", ".join(f"{key}={json.dumps(value)}" for key, value in _differences(base, found).items())
    return f" with {changes}".replace('"', "") if changes else ""


def _differences(base: Protocol, found: Protocol) -> dict[str, Any]:
    """Return the fields of `found`, as YAML would hold them, that differ from `base`."""
    before, after = base.model_dump(mode="json"), found.model_dump(mode="json")
    return {key: value for key, value in after.items() if value != before[key]}


def _items(checker: Checker, key: str, written: Any) -> list[tuple[KeyPath, Any]]:
    """Return what stands under a key that takes one thing or a list, each with its path."""
    if written == []:
        checker.add((key,), f"must name at least one {key} (asymbp ls {key}s)")
    if isinstance(written, list):
        return [((key, i), item) for i, item in enumerate(written)]
    return [((key,), written)]


def _datasets(checker: Checker, written: Any, folder: Path) -> list[DatasetRef]:
    if written is None:
        checker.add(("dataset",), "is missing; write for instance dataset: digits (asymbp ls datasets)")
        return []
    found: list[DatasetRef] = []
    for path, item in _items(checker, "dataset", written):
        ref: DatasetRef | None
        if isinstance(item, Mapping):
            source = checker.attempt(path, FolderSource.model_validate, item)
            ref = source and source.model_copy(update={"folder": _beside(source.folder, folder)})
        else:
            ref = checker.attempt(path, _named_dataset, item, folder)
        if ref in found:
            checker.add(path, "is named twice; leave one out")
        found += [ref] if ref else []
    return found


def _named_dataset(name: Any, folder: Path) -> DatasetRef:
    if not isinstance(name, str):
        raise UsageError(f"must be a name, a path or a mapping with folder, not {yaml_value(name)}")
    try:
        ref = parse_dataset(name)
    except UsageError:
        if not name or not exists(folder / name):
            raise
        ref = FolderSource(folder=name)
    return ref if isinstance(ref, str) else ref.model_copy(update={"folder": _beside(ref.folder, folder)})


def _methods(checker: Checker, data: Mapping[str, Any], protocol: Protocol) -> list[MethodEntry]:
    spelled = [key for key in _METHOD_KEYS if key in data]
    if "method" in data:
        if spelled:
            checker.add((spelled[0],), f"method and {', '.join(spelled)} exclude each other; leave one side out")
        items = _items(checker, "method", data["method"])
    elif spelled:
        items = [((), {key: data[key] for key in spelled})]
    else:
        checker.add((), "names no method; write method: uSF+BN+BM, or feedback: usf (asymbp ls methods)")
        return []
    found = [entry for path, item in items if (entry := _entry(checker, path, item, protocol))]
    labels = [entry.label for entry in found]
    for label in {label: 0 for label in labels if labels.count(label) > 1}:
        checker.add(("method",), f'two methods are called "{label}"; give one of them a label')
    return found


def _entry(checker: Checker, path: KeyPath, item: Any, protocol: Protocol) -> MethodEntry | None:
    if isinstance(item, str):
        method = checker.attempt(path, parse_method, item)
        return MethodEntry(label=method_name(method), method=method, protocol=protocol) if method else None
    if not checker.keys(path, item, ("label", "method", *_METHOD_KEYS, "protocol")):
        return None
    if "method" in item and any(key in item for key in _METHOD_KEYS):
        checker.add(path, f"has both method and {', '.join(k for k in _METHOD_KEYS if k in item)}; leave one out")
        return None
    method = _method(checker, path, item)
    overlay = item.get("protocol", {})
    if not isinstance(overlay, Mapping) or "extends" in overlay:
        checker.add((*path, "protocol"), "must be a mapping of the values that differ from the recipe's protocol")
        return None
    for key in (key for key in SHARED_FIELDS if key in overlay):
        checker.add((*path, "protocol", key), "must be the same for all methods; set it in the recipe's protocol")
    own = checker.attempt((*path, "protocol"), Protocol.model_validate, protocol.model_dump() | dict(overlay))
    if method is None or own is None:
        return None
    label = item.get("label", method_name(method) + _remark(protocol, own))
    if not is_label(label):
        checker.add((*path, "label"), f"must be text on one line, not {yaml_value(label)}")
        return None
    return MethodEntry(label=label, method=method, protocol=own)


def _method(checker: Checker, path: KeyPath, item: Mapping[str, Any]) -> Method | None:
    if "method" in item:
        if not isinstance(item["method"], str):
            checker.add((*path, "method"), f"must be a name, not {yaml_value(item['method'])} (asymbp ls methods)")
            return None
        return checker.attempt((*path, "method"), parse_method, item["method"])
    content = {key: item[key] for key in _METHOD_KEYS if key in item}
    content |= {"update": "bm1"} if content.get("update") == "bm" else {}
    if "feedback" in content:
        content["feedback"] = _feedback(checker, (*path, "feedback"), content["feedback"])
        if content["feedback"] is None:
            return None
    return checker.attempt(path, Method.model_validate, content)


def _feedback(checker: Checker, path: KeyPath, written: Any) -> Feedback | None:
    """Return feedback from its scheme's name, or from a mapping; `brsf-p` is brsf with its flip probability."""
    content = dict(written) if isinstance(written, Mapping) else {"scheme": written}
    scheme, where = content.get("scheme", "bp"), (*path, "scheme") if isinstance(written, Mapping) else path
    content["scheme"] = checker.attempt(where, find_scheme, scheme)
    if content["scheme"] is None:
        content["scheme"] = "brsf"  # takes every key, so that the other values are still checked
    elif str(scheme).lower().endswith("-p") and "flip_probability" not in content:
        checker.add(path, f"{scheme} needs its probability; write {{scheme: brsf, flip_probability: 0.25}}")
    return checker.attempt(path, Feedback.model_validate, content)


def _seeds(checker: Checker, written: Any) -> list[int]:
    items = written if isinstance(written, list) else [written]
    good = all(isinstance(item, int) and not isinstance(item, bool) and item >= 0 for item in items)
    if not items or not good or len(set(items)) < len(items):
        checker.add(
            ("seed",), f"must be a whole number from 0 on, or a list of different ones, not {yaml_value(written)}"
        )
        return [0]
    return items


def resolved_yaml(recipe: Recipe) -> str:
    """Return the recipe as YAML with every default filled in; loading it gives the same recipe."""
    protocol = recipe.protocol.model_dump(mode="json")
    base = recipe.protocol_label.split(" with ")[0]
    content: dict[str, Any] = {"title": recipe.title} if recipe.title else {}
    content["dataset"] = [ref if isinstance(ref, str) else ref.model_dump(mode="json") for ref in recipe.datasets]
    if recipe.network:
        content["network"] = recipe.network.model_dump(mode="json")
    content["method"] = [
        {
            "label": entry.label,
            **entry.method.model_dump(mode="json"),
            "protocol": _differences(recipe.protocol, entry.protocol),
        }
        for entry in recipe.methods
    ]
    content["protocol"] = {"extends": base, **protocol}
    content["seed"] = list(recipe.seeds)
    return dump(content)
