"""Recipes: what a user writes in YAML -> resolved, validated specs; and back, with every default filled in."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from asymbp_cli.datasets.catalog import DatasetRef, FolderSource, dataset_ref, find
from asymbp_cli.errors import NetworkError, UsageError, nearest
from asymbp_cli.methods import SCHEMES, Feedback, Method, method_name, parse_method
from asymbp_cli.networks import Network, find_network
from asymbp_cli.protocol import Protocol
from asymbp_cli.resources import recipes_directory
from asymbp_cli.spec import Spec
from asymbp_cli.yamlfile import Checker, KeyPath, read, shown

_SHORTHANDS = {"protocol": "extends", "feedback": "scheme"}
_METHOD_KEYS = ("feedback", "batch_norm", "update", "train")
_KEYS = ("title", "dataset", "network", "method", *_METHOD_KEYS, "protocol", "seed")


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
    protocol, label = _protocol(checker, ("protocol",), data.get("protocol"))
    datasets = _datasets(checker, data.get("dataset"), path.parent)
    network = _network(checker, data.get("network"))
    _check_inputs(checker, network, datasets)
    methods = _methods(checker, data, protocol or Protocol())
    seeds = _seeds(checker, data.get("seed", 0))
    title = data.get("title")
    if title is not None and not isinstance(title, str):
        checker.add(("title",), f"must be text, not {shown(title)}")
    checker.finish()
    return Recipe(
        name=path.stem,
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
    for override in overrides:
        if not override.startswith("protocol."):
            raise UsageError(f"--set {override}: here only protocol.KEY=VALUE can be set")
    document = read(_protocol_file(name_or_path), [text.removeprefix("protocol.") for text in overrides])
    checker = Checker(document)
    mapping = {"extends": name_or_path} | _changes(document.data, overrides)
    protocol, label = _protocol(checker, (), mapping)
    checker.finish()
    return protocol or Protocol(), label


def _changes(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    keys = {text.removeprefix("protocol.").partition("=")[0].split(".")[0].strip() for text in overrides}
    return {key: value for key, value in data.items() if key in keys}


def _protocol_file(name: str) -> Path:
    directory = recipes_directory() / "protocols"
    named = directory / f"{name}.yaml"
    if named.is_file():
        return named
    if "/" in name or name.endswith((".yaml", ".yml")):
        return Path(name)
    known = sorted(file.stem for file in directory.glob("*.yaml"))
    raise UsageError(
        f'"{name}" is not a protocol; there are {", ".join(known)}, or the path of a file.{nearest(name, known)} '
        "(asymbp ls protocols)"
    )


def _read_protocol(name: str, seen: tuple[str, ...] = ()) -> Protocol:
    """Return the protocol in a file, which may extend another one."""
    if name in seen:
        raise UsageError(f"protocols extend each other in a circle: {' -> '.join((*seen, name))}")
    document = read(_protocol_file(name))
    checker = Checker(document)
    content = dict(document.data)
    base = content.pop("extends", None)
    start = checker.attempt(("extends",), _read_protocol, base, (*seen, name)) if base else Protocol()
    found = checker.attempt((), Protocol.model_validate, (start or Protocol()).model_dump() | content)
    checker.finish()
    return found or Protocol()


def _protocol(checker: Checker, path: KeyPath, written: Any) -> tuple[Protocol | None, str]:
    """Return the protocol that a recipe writes and its label."""
    if written is None:
        checker.add(path, "is missing; write protocol: paper, quick or demo, or {extends: demo, epochs: 3}")
        return None, ""
    if isinstance(written, str):
        written = {"extends": written}
    if not isinstance(written, Mapping):
        checker.add(path, f"must be a name or a mapping, not {shown(written)}")
        return None, ""
    name = written.get("extends", "paper")
    if not isinstance(name, str):
        checker.add((*path, "extends"), f"must be the name of a protocol, not {shown(name)}")
        return None, ""
    base = checker.attempt((*path, "extends") if "extends" in written else path, _read_protocol, name)
    if base is None:
        return None, ""
    return _overlaid(checker, path, base, {k: v for k, v in written.items() if k != "extends"}, Path(name).stem)


def _overlaid(
    checker: Checker, path: KeyPath, base: Protocol, changes: Mapping[str, Any], label: str
) -> tuple[Protocol | None, str]:
    found = checker.attempt(path, Protocol.model_validate, base.model_dump() | dict(changes))
    if found is None:
        return None, label
    differing = _differences(base, found)
    shown_changes = ", ".join(f"{key}={_compact(value)}" for key, value in differing.items())
    return found, f"{label} with {shown_changes}" if differing else label


def _differences(base: Protocol, found: Protocol) -> dict[str, Any]:
    """Return the fields of `found`, as YAML would hold them, that differ from `base`."""
    before, after = base.model_dump(mode="json"), found.model_dump(mode="json")
    return {key: value for key, value in after.items() if value != before[key]}


def _compact(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


def _datasets(checker: Checker, written: Any, folder: Path) -> list[DatasetRef]:
    if written is None:
        checker.add(("dataset",), "is missing; write for instance dataset: digits (asymbp ls datasets)")
        return []
    items = written if isinstance(written, list) else [written]
    if not items:
        checker.add(("dataset",), "must name at least one dataset (asymbp ls datasets)")
    paths: list[KeyPath] = [
        ("dataset", i) if isinstance(written, list) else ("dataset",) for i in range(len(items))
    ]
    found = [checker.attempt(path, _dataset, item, folder) for path, item in zip(paths, items, strict=True)]
    return [ref for ref in found if ref is not None]


def _dataset(item: Any, folder: Path) -> DatasetRef:
    if isinstance(item, str):
        beside = folder / item
        return (
            FolderSource(folder=str(beside)) if not Path(item).exists() and beside.exists() else dataset_ref(item)
        )
    if not isinstance(item, Mapping):
        raise UsageError(f"must be a name, a path or a mapping with folder, not {shown(item)}")
    source = FolderSource.model_validate(item)
    beside = folder / source.folder
    if not Path(source.folder).exists() and beside.exists():
        return source.model_copy(update={"folder": str(beside)})
    return source


def _network(checker: Checker, written: Any) -> Network | None:
    if written is None:
        return None
    if isinstance(written, str):
        return checker.attempt(("network",), find_network, written)
    if not checker.keys(("network",), written, ("input", "layers")):
        return None
    content = dict(written)
    if isinstance(content.get("input"), str):
        sizes = content["input"].split("x")
        if not all(size.isdecimal() for size in sizes):
            checker.add(("network", "input"), f'"{content["input"]}": write it like 28x28x1, or 1845 for vectors')
            return None
        content["input"] = [int(size) for size in sizes]
    elif isinstance(content.get("input"), int):
        content["input"] = [content["input"]]
    return checker.attempt(("network",), Network.model_validate, content)


def _check_inputs(checker: Checker, network: Network | None, datasets: Sequence[DatasetRef]) -> None:
    """Check that the network's layers fit its input and that its input is one that the datasets can give."""
    if network is None:
        return
    counts = {find(ref).classes for ref in datasets if isinstance(ref, str)} or {10}
    for classes in sorted(counts):
        if checker.attempt(("network",), network.resolve, classes) is None:
            return
    if len(network.input) == 1 and datasets:
        checker.attempt(("network",), _refuse_vectors, network)


def _refuse_vectors(network: Network) -> None:
    raise NetworkError(f"takes vectors of {network.input[0]}, but the datasets hold images; use input: 8x8x1")


def _methods(checker: Checker, data: Mapping[str, Any], protocol: Protocol) -> list[MethodEntry]:
    spelled = [key for key in _METHOD_KEYS if key in data]
    if "method" in data:
        for key in spelled:
            checker.add((key,), "cannot stand beside method; put it into method: {...}, or leave method out")
        written = data["method"]
        items = written if isinstance(written, list) else [written]
        paths: list[KeyPath] = [
            ("method", i) if isinstance(written, list) else ("method",) for i in range(len(items))
        ]
    elif spelled:
        items, paths = [{key: data[key] for key in spelled}], [()]
    else:
        checker.add((), "names no method; write method: uSF+BN+BM, or feedback: usf (asymbp ls methods)")
        return []
    if not items:
        checker.add(("method",), "must name at least one method (asymbp ls methods)")
    entries = [_entry(checker, path, item, protocol) for path, item in zip(paths, items, strict=True)]
    found = [entry for entry in entries if entry]
    labels = [entry.label for entry in found]
    for label in dict.fromkeys(label for label in labels if labels.count(label) > 1):
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
    own, remark = _overlaid(checker, (*path, "protocol"), protocol, overlay, "")
    if method is None or own is None:
        return None
    label = item.get("label", method_name(method) + remark)
    if not isinstance(label, str) or not label.strip():
        checker.add((*path, "label"), f"must be text, not {shown(label)}")
        return None
    return MethodEntry(label=label, method=method, protocol=own)


def _method(checker: Checker, path: KeyPath, item: Mapping[str, Any]) -> Method | None:
    if "method" in item:
        if not isinstance(item["method"], str):
            checker.add((*path, "method"), f"must be a name, not {shown(item['method'])} (asymbp ls methods)")
            return None
        return checker.attempt((*path, "method"), parse_method, item["method"])
    content = {key: item[key] for key in _METHOD_KEYS if key in item}
    if content.get("update") == "bm":
        content["update"] = "bm1"
    if "feedback" in content:
        feedback = checker.attempt((*path, "feedback"), _feedback_mapping, content["feedback"])
        if feedback is None:
            return None
        content["feedback"] = feedback
        if checker.attempt((*path, "feedback"), Feedback.model_validate, feedback) is None:
            return None
    return checker.attempt(path, Method.model_validate, content)


def _feedback_mapping(written: Any) -> dict[str, Any]:
    """Return feedback as its spec takes it: lower-case scheme, `brsf-p` as brsf with its flip probability."""
    content = {"scheme": written} if isinstance(written, str) else written
    if not isinstance(content, Mapping):
        raise UsageError(f"must be the name of a scheme, not {shown(written)} (asymbp ls schemes)")
    content = dict(content)
    scheme = content.get("scheme", "bp")
    name = scheme.lower() if isinstance(scheme, str) else ""
    if name in ("brsf-p", "frsf-p"):
        name = name.removesuffix("-p")
        if "flip_probability" not in content:
            raise UsageError(f"{scheme} needs its probability; write {{scheme: {name}, flip_probability: 0.25}}")
    if name not in SCHEMES:
        raise UsageError(f"{shown(scheme)} is not a scheme.{nearest(str(scheme), SCHEMES)} (asymbp ls schemes)")
    return content | {"scheme": name}


def _seeds(checker: Checker, written: Any) -> list[int]:
    items = written if isinstance(written, list) else [written]
    good = all(isinstance(item, int) and not isinstance(item, bool) and item >= 0 for item in items)
    if not items or not good or len(set(items)) < len(items):
        checker.add(
            ("seed",), f"must be a whole number from 0 on, or a list of different ones, not {shown(written)}"
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
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
