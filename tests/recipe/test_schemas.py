"""The JSON Schemas: those that are shipped are the program's, and they refuse what the tool refuses.

`python tests/recipe/test_schemas.py` writes them anew.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import test_faults
from click.testing import CliRunner

from asymbp_cli.cli.app import cli
from asymbp_cli.errors import RecipeError
from asymbp_cli.executors.schema import executor_schema
from asymbp_cli.recipe.kinds import find_kind
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.recipe.schemas import SCHEMAS
from asymbp_cli.recipe.yamlfile import parse_yaml, read_yaml

MAKERS = {**SCHEMAS, "executor": executor_schema}
FOLDER = recipes_directory() / "schemas"
FILES = sorted(file for file in recipes_directory().rglob("*.yaml"))
#: faults that only the tool can know: names, and how values fit together
UNSEEN = (
    '"dgits" is not a dataset',
    "non-breaking space",
    "left double quotation mark",
    'Did you mean "brsf"?',
    '"dmo" is not a protocol',
    "must not name a value twice",
    "is in it twice",
    "must be a finite number",
    "means nothing in your own tables",
    '"mnits"',
    'Did you mean "SGD"?',
    'Did you mean "uSF"?',
)


def text_of(kind: str) -> str:
    return json.dumps(MAKERS[kind](), indent=1) + "\n"


def validator(kind: str) -> Any:
    jsonschema = pytest.importorskip("jsonschema", reason="not run: jsonschema is not installed")
    jsonschema.Draft202012Validator.check_schema(MAKERS[kind]())
    return jsonschema.Draft202012Validator(MAKERS[kind]())


@pytest.mark.parametrize("kind", MAKERS)
def test_the_shipped_schemas_are_those_of_the_program(kind: str) -> None:
    written = (FOLDER / f"{kind}.json").read_text(encoding="utf-8")
    assert written == text_of(kind), "run python tests/recipe/test_schemas.py"
    shown = CliRunner().invoke(cli, ["schema", kind]).output
    assert json.loads(shown) == json.loads(written)


def test_the_schema_of_recipes_is_the_default() -> None:
    run = CliRunner().invoke
    assert run(cli, ["schema"]).output == run(cli, ["schema", "recipe"]).output


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_shipped_file_names_its_schema_and_satisfies_it(file: Path) -> None:
    document = read_yaml(file)
    kind = find_kind(document)
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[1] == f"# yaml-language-server: $schema=../schemas/{kind}.json"
    assert (file.parent / lines[1].partition("$schema=")[2]).resolve() == (FOLDER / f"{kind}.json").resolve()
    validator(kind).validate(document.data)


@pytest.mark.parametrize("kind", test_faults.KINDS)
def test_a_schema_refuses_every_fault_that_it_can_see(kind: str, tmp_path: Path) -> None:
    parts, faults = test_faults.KINDS[kind]
    schema, file = validator(kind), tmp_path / "mine.yaml"
    test_faults.write(parts, [], file)
    schema.validate(read_yaml(file).data)
    for fault in faults:
        test_faults.write(parts, [fault], file)
        document = read_yaml(file)
        if not document.problems and not any(word in fault[3] for word in UNSEEN):
            assert not schema.is_valid(document.data), fault


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("protocol", "epochs: 0"),
        ("protocol", "epohcs: 3"),
        ("protocol", "extends: 3"),
        ("network", "input: 8x8x1"),
        ("network", "input: 8*8\nlayers: [FC classes]"),
        ("network", "input: 8x8x1\nlayers: [ReLU]"),
        ("network", "input: 8x8x1\nlayers: [FC classes]\ncolumn: 0"),
        ("executor", "executor: slrum"),
        ("executor", "executor: slurm\nworkers: 0"),
        ("executor", "executor: inline\npartition: x"),
        ("recipe", "dataset: digits\nprotocol: demo\nmethod: SGD,BM"),
        ("table", "title: x\ncolumns: [{header: a}]"),
        ("table", "title: x\ncolumns: [{header: a, method: SGD, protocol: {resize: crop}}]"),
        ("table", "title: x"),
    ],
)
def test_what_a_schema_refuses(kind: str, text: str) -> None:
    assert not validator(kind).is_valid(parse_yaml(text, "f.yaml").data)


@pytest.mark.parametrize("method", ["SGD", "uSF+BN+BM", "brSF-25%+BN+BM2", "sgd TOP", "uSF-scaled", "PFA-o", "bn"])
def test_names_of_methods_in_any_case_fit_the_schema(method: str) -> None:
    validator("recipe").validate({"dataset": "digits", "protocol": "demo", "method": [method]})


@pytest.mark.parametrize(
    "layer", ["conv 3x3x4/1", "Conv 5x5x20/1 pad 2 groups 2", "AVG 3x3/2 pad_end 1", "fc max(256, 3*classes)"]
)
def test_layers_in_any_case_fit_the_schema(layer: str) -> None:
    validator("network").validate({"input": "8x8x1", "layers": [layer, "FC classes"]})


def test_a_plugin_or_a_folder_breaks_no_schema() -> None:
    """What only the tool can know is allowed: editors must not refuse what it reads."""
    recipe = {"dataset": "a/b.tar", "protocol": "mine.yaml", "network": "mine.yaml", "feedback": "absFA"}
    validator("recipe").validate(recipe)


def test_a_key_for_shared_values_is_allowed_if_it_begins_with_x() -> None:
    text = "x-base: &b {epochs: 3}\ndataset: digits\nmethod: SGD\nprotocol: {extends: demo, <<: *b}\n"
    validator("recipe").validate(parse_yaml(text, "f.yaml").data)
    with pytest.raises(RecipeError):
        parse_yaml("- a", "f.yaml")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in MAKERS:
        (FOLDER / f"{name}.json").write_text(text_of(name), encoding="utf-8")
