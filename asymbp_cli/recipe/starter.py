"""Recipes to start from: with the meaning of each key, and the keys that are not used, ready to be."""

import textwrap
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from asymbp_cli.datasets.catalog import CATALOG, FolderSource, is_images, parse_dataset
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.errors import UsageError
from asymbp_cli.files.paths import exists, expand_home
from asymbp_cli.recipe.document import Document
from asymbp_cli.recipe.examples import find_recipe, recipe_files
from asymbp_cli.recipe.format import METHOD_KEYS, PROTOCOL_KEYS, RECIPE_KEYS
from asymbp_cli.recipe.networks import NETWORKS, network_for, spell_out
from asymbp_cli.recipe.protocols import protocol_files
from asymbp_cli.recipe.recipe import Recipe, load_recipe, read_recipe
from asymbp_cli.recipe.resources import is_inline, named_files, names_a_file
from asymbp_cli.recipe.table import is_table
from asymbp_cli.recipe.table_recipe import write_table_recipe
from asymbp_cli.recipe.yamlfile import dump_line, dump_yaml, parse_yaml
from asymbp_cli.specs.feedback import shorten_feedback
from asymbp_cli.specs.methods import method_name
from asymbp_cli.specs.references import short_name
from asymbp_cli.text import nearest, nearest_path, printable_path

_METHODS = "method: [SGD, uSF+BN+BM]\n"
_FIRST = f"dataset: digits\n{_METHODS}protocol: demo\n"
_EXECUTORS = ("inline", "processes")  # besides those that have a file
_WIDTH = 100  # of comments


def read_source(name: str | None) -> str:
    """Return the YAML that a new recipe starts from; None: two methods on the digits.

    A name is that of a recipe or its file, of a table, or of a protocol, network or dataset that two methods use.
    A dataset may also be a folder or archive of images. Raises UsageError if there is none of that name,
    RecipeError if its file is invalid, DataError if the images are not there.
    """
    if name is None:
        return _FIRST
    if _names_images(name):
        return _write_images(name)
    if is_inline(name) or name.lower() in recipe_files() or (names_a_file(name) and not _is_nothing(name)):
        return _read_recipe_file(name)
    if is_table(name):
        return write_table_recipe(name)
    if name.lower() not in list_sources() and exists(expand_home(name)):
        return _read_recipe_file(name)
    return _write_first(name)


def list_sources() -> tuple[str, ...]:
    """Return the names that a new recipe can start from, besides those of tables: the first ones go first."""
    return tuple(dict.fromkeys([*recipe_files(), *protocol_files(), *NETWORKS, *CATALOG]))


def _names_images(name: str) -> bool:
    """Return whether a name is the path of a folder or archive of images."""
    if name.startswith("folder:"):
        return True
    if is_inline(name) or name.lower() in list_sources() or is_table(name):
        return False
    return is_images(expand_home(name))


def _is_nothing(name: str) -> bool:
    """Return whether a path leads nowhere and may have meant a folder as well as a file."""
    path = expand_home(name)
    return not path.suffix and not exists(path)


def _write_images(name: str) -> str:
    """Return a recipe of two methods on images of the user's own.

    Its network is small: the paper's one for such images is slow on a CPU.
    """
    ref = parse_dataset(name)
    if isinstance(ref, FolderSource):
        Tree(expand_home(ref.folder))  # which raises DataError if it leads nowhere
    return f"{dump_line('dataset', name)}\nnetwork: cifar\n{_METHODS}protocol: demo\n"


def _write_first(name: str) -> str:
    """Return a recipe of two methods that uses a protocol, network or dataset of the tool."""
    key = name.lower()
    if key in protocol_files():
        return f"dataset: digits\n{_METHODS}protocol: {key}\n"
    if key in NETWORKS:
        dataset = next(entry.key for entry in CATALOG.values() if entry.network == key)
        return f"dataset: {dataset}\nnetwork: {key}\n{_METHODS}protocol: {_choose_protocol(dataset)}\n"
    if key in CATALOG:
        return f"dataset: {key}\n{_METHODS}protocol: {_choose_protocol(key)}\n"
    if key in (*_EXECUTORS, *named_files("executors")):
        raise UsageError(f"{key} is where to train, which no recipe says: asymbp train RECIPE --executor {key}")
    hint = nearest(name, list_sources()) or nearest_path(expand_home(name), exists)
    raise UsageError(
        f'"{printable_path(name)}" is nothing to start from.{hint} Name a recipe (asymbp '
        "ls recipes), a table, a protocol, a network, a dataset, or a folder or archive of images"
    )


def _choose_protocol(dataset: str) -> str:
    return "demo" if dataset == "digits" else "quick"


def _read_recipe_file(name: str) -> str:
    """Return the text of a recipe."""
    file = find_recipe(name)
    load_recipe(file)
    return name if is_inline(name) else file.read_text(encoding="utf-8-sig")


def write_starter(source: str, name: str) -> str:
    """Return a recipe with comments; its file is called `name`. Raises RecipeError if the source is invalid."""
    document = parse_yaml(source, name)
    starts = [document.lines[key,] - 1 for key in document.data]
    if starts != sorted(set(starts)):  # several keys in one line
        return write_starter(dump_yaml(document.data), name)
    recipe = read_recipe(parse_yaml(source, name), "", Path())
    lines = source.splitlines()
    blocks = {key: lines[i:j] for key, (i, j) in zip(document.data, pairwise([*starts, len(lines)]), strict=True)}
    blocks["protocol"] = [*_write_protocol(blocks["protocol"], document, recipe)]
    written = [
        [*_describe(RECIPE_KEYS.get(key, {})), *block] for key, block in blocks.items() if key != "protocol"
    ]
    unused = [
        [*_describe(RECIPE_KEYS[key], _explain_place(key, blocks)), f"#{_write_sample(key, recipe)}"]
        for key in RECIPE_KEYS
        if key not in blocks
    ]
    last = [*_describe(RECIPE_KEYS["protocol"]), *blocks["protocol"]]
    parts = [_write_head(lines[: starts[0]], name), *written, *unused, last]
    return "\n\n".join("\n".join(part).strip("\n") for part in parts) + "\n"


def _write_head(lines: list[str], name: str) -> list[str]:
    """Return the first comment: the command, how to use the file, and what the source says of itself."""
    own = [line for line in lines if not line.startswith(("# asymbp ", "# yaml-language-server"))]
    return [
        f"# asymbp train {name}",
        *own,
        '# Comments begin with "# ". Delete the # of a line that begins with it alone, and its key is used.',
    ]


def _describe(schema: Mapping[str, Any], before: str = "") -> list[str]:
    """Return the description of a key as comments."""
    text = f"{before}{schema.get('description', '')}"
    return textwrap.wrap(
        text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False
    )


def _explain_place(key: str, data: Mapping[str, Any]) -> str:
    """Return the meaning of an unused key that another one excludes."""
    if key == "method":
        return f"In place of {', '.join(name for name in METHOD_KEYS if name in data)}. "
    return "In place of method. " if key in METHOD_KEYS and "method" in data else ""


def _write_protocol(block: list[str], document: Document, recipe: Recipe) -> Iterator[str]:
    """Yield the protocol as a mapping: what it says, then its other keys with their values as comments."""
    value = document.data["protocol"]
    written = value if isinstance(value, dict) else {"extends": value}
    first = document.lines["protocol",]
    is_block = isinstance(value, dict) and all(document.lines["protocol", key] > first for key in value)
    indent = "  "
    if is_block:
        inner = block[document.lines["protocol", next(iter(value))] - first]
        indent = inner[: len(inner) - len(inner.lstrip())]
        yield from "\n".join(block).rstrip().split("\n")
    else:
        yield "protocol:"
        yield from (f"{indent}{dump_line(key, item)}" for key, item in written.items())
    for key, now in recipe.protocol.model_dump(mode="json").items():
        if key not in written:
            yield from (f"{indent}{line}" for line in _describe(PROTOCOL_KEYS[key]))
            yield f"{indent}#{dump_line(key, _simplify(now))}"


def _write_sample(key: str, recipe: Recipe) -> str:
    """Return a key with a value that it may have: the one that the recipe has without it, if there is one."""
    method, first = recipe.methods[0].procedure.method, recipe.datasets[0]
    samples: dict[str, Any] = {
        "title": "My study",
        "network": spell_out(network_for(first if isinstance(first, str) else "folder")),
        "method": method_name(method),
        "feedback": shorten_feedback(method.feedback),
        "batch_norm": method.batch_norm,
        "update": short_name(method.update),
        "train": method.train,
        "seed": [0, 1, 2],
        "keep_weights": "best",
    }
    return dump_line(key, samples[key])


def _simplify(value: Any) -> Any:
    """Return values with whole numbers in place of floats without decimals."""
    if isinstance(value, dict):
        return {key: _simplify(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_simplify(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
