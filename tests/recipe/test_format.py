"""The format of recipes: its JSON Schema, the keys that loading reads, and the list of them in the documentation.

`python tests/recipe/test_format.py` writes that list anew.
"""

import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from asymbp_cli.cli.app import cli
from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.errors import RecipeError, UsageError
from asymbp_cli.recipe.format import (
    FEEDBACK_KEYS,
    FOLDER_KEYS,
    METHOD_ENTRY_KEYS,
    METHOD_KEYS,
    METHOD_PATTERN,
    NETWORK_KEYS,
    PROTOCOL_KEYS,
    RECIPE_KEYS,
    Keys,
    fields_of,
)
from asymbp_cli.recipe.recipe import load_recipe, resolved_yaml
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.recipe.schemas import recipe_schema
from asymbp_cli.recipe.yamlfile import dump_yaml, read_yaml
from asymbp_cli.specs.layers import LAYER_GRAMMAR
from asymbp_cli.specs.methods import METHOD_GRAMMAR, parse_method, update_keys
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import BatchSize, Phase, Protocol

README = recipes_directory() / "README.md"
EXAMPLES = sorted((recipes_directory() / "examples").glob("*.yaml"))
_LIST = re.compile(r"(?<=<!-- keys -->\n).*?(?=<!-- end of keys -->)", re.DOTALL)
PLAIN: dict[str, Any] = {"dataset": "digits", "method": "uSF", "protocol": "demo"}
FOLDER = {"folder": "a/b"}
NETWORK = {"input": "8x8x1", "layers": ["FC classes"]}


@pytest.fixture(scope="module")
def schema() -> Any:
    """The schema of recipes, as a validator."""
    jsonschema = pytest.importorskip("jsonschema", reason="not run: jsonschema is not installed")
    jsonschema.Draft202012Validator.check_schema(recipe_schema())
    return jsonschema.Draft202012Validator(recipe_schema())


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def problems(recipe: dict[str, Any]) -> tuple[str, ...]:
    """Return what is wrong with a recipe; nothing if it loads."""
    Path("mine.yaml").write_text(dump_yaml(recipe))
    try:
        load_recipe(Path("mine.yaml"))
    except RecipeError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_schema_allows_the_examples_and_their_resolved_form(file: Path, schema: Any) -> None:
    again = Path("again.yaml")
    again.write_text(resolved_yaml(load_recipe(file)))
    schema.validate(read_yaml(file).data)
    schema.validate(read_yaml(again).data)


def described() -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield every key of the format: its path, a recipe with a value there that means nothing, and a message."""
    wrong = [[]]
    spelled_out = {"dataset": "digits", "protocol": "demo"}
    for key in RECIPE_KEYS:
        plain = spelled_out if key in METHOD_KEYS else PLAIN
        yield key, {**plain, key: wrong}, key
    for key in METHOD_ENTRY_KEYS:
        entry = {"method": "SGD"} if key in ("label", "protocol") else {}
        yield f"method.{key}", {**PLAIN, "method": {**entry, key: wrong}}, f"method.{key}"
    for key in PROTOCOL_KEYS:
        yield f"protocol.{key}", {**PLAIN, "protocol": {key: wrong}}, f"protocol.{key}"
    for key in NETWORK_KEYS:
        yield f"network.{key}", {**PLAIN, "network": {**NETWORK, key: wrong}}, f"network.{key}"
    for key in FOLDER_KEYS:
        yield f"dataset.{key}", {**PLAIN, "dataset": {**FOLDER, key: wrong}}, f"dataset.{key}"
    for key in FEEDBACK_KEYS:
        yield f"feedback.{key}", {**spelled_out, "feedback": {key: wrong}}, f"feedback.{key}"


CASES = {path: (recipe, place) for path, recipe, place in described()}


@pytest.mark.parametrize("path", CASES)
def test_every_key_of_the_format_is_read(path: str) -> None:
    """A value that means nothing is a problem of its key, and is not called an unknown key."""
    recipe, place = CASES[path]
    own = [problem for problem in problems(recipe) if re.search(rf":\d+: {re.escape(place)}[.:\[]", problem)]
    assert own
    assert not [problem for problem in own if "unknown key" in problem]


def test_the_format_has_the_keys_of_its_models() -> None:
    assert set(PROTOCOL_KEYS) == set(Protocol.model_fields)
    assert set(NETWORK_KEYS) == set(Network.model_fields)
    assert set(FOLDER_KEYS) == set(FolderSource.model_fields)


BAD: dict[str, dict[str, Any]] = {
    "no dataset": {"method": "uSF", "protocol": "demo"},
    "no method": {"dataset": "digits", "protocol": "demo"},
    "unknown key": {**PLAIN, "netwrok": "digits"},
    "unknown inner key": {**PLAIN, "protocol": {"epohcs": 3}},
    "wrong type": {**PLAIN, "protocol": {"epochs": "three"}},
    "out of range": {**PLAIN, "protocol": {"momentum": 2}},
    "unknown choice": {"dataset": "digits", "protocol": "demo", "update": "bm4"},
    "a probability above 1": {
        "dataset": "digits",
        "protocol": "demo",
        "feedback": {"scheme": "brsf", "flip_probability": 2},
    },
    "no dataset in the list": {**PLAIN, "dataset": []},
    "a folder without path": {**PLAIN, "dataset": {"train_per_class": 3}},
    "a network without layers": {**PLAIN, "network": {"input": "8x8x1"}},
    "a negative seed": {**PLAIN, "seed": -1},
    "a list for a name": {**PLAIN, "protocol": ["demo"]},
}


@pytest.mark.parametrize("case", BAD)
def test_the_schema_refuses_what_the_tool_refuses(case: str, schema: Any) -> None:
    assert not schema.is_valid(BAD[case])
    assert schema.is_valid(PLAIN)
    assert problems(BAD[case])
    assert not problems(PLAIN)


def test_the_schema_is_one_and_explains_the_protocol() -> None:
    schema = recipe_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"dataset", "network", "method", "feedback", "protocol", "seed"} <= set(schema["properties"])
    (protocol,) = (part for part in schema["properties"]["protocol"]["anyOf"] if part["type"] == "object")
    assert set(protocol["properties"]) == {"extends", *Protocol.model_fields}
    undescribed = [name for name, part in protocol["properties"].items() if not part.get("description")]
    assert not undescribed
    assert all(schema["properties"][key]["description"] for key in ("batch_norm", "update", "train"))


def key_list() -> str:
    """Return the list of keys of `recipes/README.md`."""
    parts = [
        _table("A recipe", RECIPE_KEYS),
        _table("Also in a mapping of `method`", _without(METHOD_ENTRY_KEYS, METHOD_KEYS)),
        _table("`feedback`, as a mapping", FEEDBACK_KEYS),
        _table("`network`, as a mapping", NETWORK_KEYS),
        _table("`dataset`, as a mapping", FOLDER_KEYS),
        _table("`protocol`, as a mapping; `extends` names what it starts from", PROTOCOL_KEYS),
        _table("Each phase in the list `phases`", fields_of(Phase)),
        _table("Each size in `batch_size`, as a list", fields_of(BatchSize)),
    ]
    return "\n" + "\n".join(parts) + "\n"


def _without(keys: Keys, others: Keys) -> Keys:
    return {key: schema for key, schema in keys.items() if key not in others}


def _table(title: str, keys: Keys) -> str:
    rows = [
        f"| `{key}` | {_values(schema)} | {_default(schema)} | {_meaning(schema)} |"
        for key, schema in keys.items()
    ]
    return "\n".join([f"{title}:", "", "| key | values | default | meaning |", "|---|---|---|---|", *rows, ""])


_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


def _values(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_values(part) for part in schema["anyOf"] if part.get("type") != "null"))
    return _TYPES[schema["type"]]


def _default(schema: dict[str, Any]) -> str:
    default = schema.get("default")
    return "" if default is None else f"`{json.dumps(default)}`".replace('"', "")


def _meaning(schema: dict[str, Any]) -> str:
    return " ".join(str(schema["description"]).split())


def test_the_documentation_lists_every_key() -> None:
    written = _LIST.search(README.read_text())
    assert written
    assert written[0] == key_list(), "run python tests/recipe/test_format.py"


def documentation() -> str:
    """Return `recipes/README.md` with the keys and the notations of the program."""
    text = _LIST.sub(lambda _: key_list(), README.read_text())
    for name, grammar in GRAMMARS.items():
        begin, end = f"<!-- {name} grammar -->\n", "<!-- end -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}```text\n{grammar}\n```\n{end}{rest.partition(end)[2]}"
    return text


GRAMMARS = {"method": METHOD_GRAMMAR, "layer": LAYER_GRAMMAR}


def test_the_documentation_has_the_notation_of_the_lists() -> None:
    assert README.read_text() == documentation(), "run python tests/recipe/test_format.py"
    for name, grammar in GRAMMARS.items():
        assert grammar in CliRunner().invoke(cli, ["ls", {"method": "methods", "layer": "networks"}[name]]).output
        assert grammar.splitlines()[0] in README.read_text()


def test_every_name_of_the_grammar_is_a_method() -> None:
    updates = ["", "BM", "BM2", "BM3", "Adam"]
    assert {"bm1", *(name.lower() for name in updates[1:])} == set(update_keys())
    for first, norm, update, part in product(
        ["SGD", "uSF", "brSF-12.5%", "uSF-scaled"], ["", "BN"], updates, ["", "Top"]
    ):
        name = " ".join(filter(None, ["+".join(filter(None, [first, norm, update])), part]))
        assert parse_method(name) == parse_method(name.upper())
        assert re.search(METHOD_PATTERN, name)
    for name in ("SGD+BN+BN", "uSF+BM+BM2", "uSF+BM+Adam", "uSF-25%", "BN+uSF", "uSF+SGD", "SGD Middle"):
        with pytest.raises(UsageError):
            parse_method(name)


if __name__ == "__main__":
    README.write_text(documentation())
