"""Recipes: from the YAML of users to resolved, validated specs, and back with every default filled in."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field

from asymbp_cli.datasets.catalog import DatasetRef, FolderSource, parse_dataset
from asymbp_cli.errors import RecipeError, UsageError
from asymbp_cli.files.paths import exists
from asymbp_cli.recipe.document import Document, Node, make_document
from asymbp_cli.recipe.examples import find_recipe
from asymbp_cli.recipe.format import FOLDER_KEYS, LARGEST_SEED, RECIPE_KEYS, SHORTHANDS
from asymbp_cli.recipe.kinds import explain_use, find_kind
from asymbp_cli.recipe.methods import RecipeMethod, read_methods
from asymbp_cli.recipe.networks import read_networks
from asymbp_cli.recipe.overrides import override_values
from asymbp_cli.recipe.procedure import changed_values
from asymbp_cli.recipe.protocols import read_protocol
from asymbp_cli.recipe.resources import find_path, is_inline
from asymbp_cli.recipe.wording import describe_no_label, quote
from asymbp_cli.recipe.yamlfile import dump_yaml, read_yaml
from asymbp_cli.specs.base import Spec, is_label
from asymbp_cli.specs.modules import WhichWeights
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.text import printable_path


class Recipe(Spec):
    """A resolved recipe. Without `networks` each dataset takes its own."""

    name: str
    title: str | None
    datasets: Annotated[tuple[str | FolderSource, ...], Field(strict=False, min_length=1)]
    networks: Annotated[tuple[Network, ...], Field(strict=False)] = ()
    methods: Annotated[tuple[RecipeMethod, ...], Field(strict=False, min_length=1)]
    protocol: Protocol
    protocol_label: str
    seeds: Annotated[tuple[int, ...], Field(strict=False, min_length=1)]
    keep_weights: WhichWeights | None = None  # no part of any run


def load_recipe(
    path: str | os.PathLike[str], overrides: Sequence[str] = (), *, changes: Mapping[str, Any] | None = None
) -> Recipe:
    """Return the recipe in `path` with `overrides` (`protocol.epochs=3`), and `changes` of whole keys.

    Text may also be the name of a recipe that comes with the tool, or the recipe itself: `{dataset: digits,
    method: uSF, protocol: demo}`. Raises RecipeError with all problems, each as `file:line: key.path: What is
    wrong. What to do.`, UsageError if there is no path, or no such name.
    """
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"recipe is a path, not {path!r}")
    path = find_recipe(path) if isinstance(path, str) else Path(path)
    document = read_yaml(path)
    override_values(document, overrides, SHORTHANDS)
    document.data |= make_document("", changes or {}).data
    if (kind := find_kind(document)) != "recipe":
        raise RecipeError([explain_use(kind, path)])
    if is_inline(path):
        return read_recipe(document, "recipe", Path())
    return read_recipe(document, printable_path(path.stem), path.parent)


def read_recipe(document: Document, name: str, folder: Path) -> Recipe:
    """Return the recipe that a document in `folder` writes; raises RecipeError with all problems."""
    recipe = document.root
    recipe.has_only(RECIPE_KEYS)
    protocol, label = read_protocol(recipe["protocol"], folder)
    datasets = _read_datasets(recipe["dataset"], folder)
    networks = read_networks(recipe["network"], folder, datasets)
    methods = read_methods(recipe, protocol or Protocol())
    seeds = _read_seeds(recipe.get("seed", 0))
    title = _read_title(recipe["title"])
    kept = _read_keep_weights(recipe["keep_weights"])
    document.raise_problems()
    return Recipe(
        name=name,
        title=title,
        datasets=tuple(datasets),
        networks=tuple(networks),
        methods=tuple(methods),
        protocol=protocol or Protocol(),
        protocol_label=label,
        seeds=tuple(seeds),
        keep_weights=kept,
    )


def resolved_yaml(recipe: Recipe) -> str:
    """Return the recipe as YAML with every default filled in; loading it gives the same recipe."""
    content: dict[str, Any] = {}
    if recipe.title:
        content["title"] = recipe.title
    content["dataset"] = [ref if isinstance(ref, str) else ref.model_dump(mode="json") for ref in recipe.datasets]
    if recipe.networks:
        networks = [network.model_dump(mode="json") for network in recipe.networks]
        content["network"] = networks if len(networks) > 1 else networks[0]
    content["method"] = [
        {
            "label": method.label,
            **method.procedure.method.model_dump(mode="json"),
            "protocol": changed_values(recipe.protocol, method.procedure.protocol),
        }
        for method in recipe.methods
    ]
    base = recipe.protocol_label.split(" with ")[0]
    content["protocol"] = {"extends": base, **recipe.protocol.model_dump(mode="json")}
    content["seed"] = list(recipe.seeds)
    if recipe.keep_weights:
        content["keep_weights"] = recipe.keep_weights
    return dump_yaml(content)


def _read_datasets(node: Node, folder: Path) -> list[DatasetRef]:
    """Return the datasets that a recipe in `folder` names; problems are noted."""
    if node.value is None:
        node.note("is missing. Write for instance dataset: digits (asymbp ls datasets)")
        return []
    if node.value == []:
        node.note("must name at least one dataset (asymbp ls datasets)")
    refs: list[DatasetRef] = []
    for item in node.items():
        ref = _read_folder(item, folder) if item.is_mapping else item.attempt(_find_dataset, item.value, folder)
        if ref in refs:
            item.note("is named twice. Leave one out")
        if ref:
            refs.append(ref)
    return refs


def _find_dataset(name: Any, folder: Path) -> DatasetRef:
    """Return the dataset of that name, or the folder or archive at that path, seen from `folder`."""
    if not isinstance(name, str):
        raise UsageError(f"must be a name, a path or a mapping with folder, not {quote(name)}")
    try:
        ref = parse_dataset(name)
    except UsageError:
        if not name or not exists(folder / name):
            raise
        ref = FolderSource(folder=name)
    return ref if isinstance(ref, str) else _seen_from(folder, ref)


def _read_folder(node: Node, folder: Path) -> DatasetRef | None:
    node.has_only(FOLDER_KEYS)
    source = node.validate(FolderSource, node.select(FOLDER_KEYS).value)
    return node["folder"].attempt(_seen_from, folder, source) if source else None


def _seen_from(folder: Path, source: FolderSource) -> FolderSource:
    return source.model_copy(update={"folder": find_path(source.folder, folder)})


def _read_seeds(node: Node) -> list[int]:
    """Return the seeds; problems are noted."""
    expected = "must be a whole number from 0 on, or a list of different ones"
    seeds: list[int] = []
    for item in node.items():
        if not isinstance(item.value, int) or isinstance(item.value, bool) or item.value < 0:
            is_large = isinstance(item.value, float) and item.value > LARGEST_SEED
            item.note(f"{expected}, not {quote(item.value)}{', which is too large' if is_large else ''}")
        elif item.value in seeds:
            item.note(f"{expected}; {item.value} is in it twice")
        else:
            seeds.append(item.value)
    if node.value == []:
        node.note(f"{expected}; there is none in it")
    return seeds or [0]


def _read_title(node: Node) -> str | None:
    if node.value is not None and not is_label(node.value):
        node.note(describe_no_label(node.value))
    return node.value if isinstance(node.value, str) else None


def _read_keep_weights(node: Node) -> WhichWeights | None:
    if node.value is not None and node.value not in get_args(WhichWeights):
        node.note(f"must be {' or '.join(get_args(WhichWeights))}, not {quote(node.value)}")
        return None
    kept: WhichWeights | None = node.value
    return kept
