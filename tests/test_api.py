"""`asymbp.train` and `asymbp.reproduce` do what the commands do, and say what is wrong."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

import asymbp_cli as asymbp
from asymbp_cli.cli.app import cli
from asymbp_cli.executors import StackStarted, StudyEvent

NETWORK = {"input": "8x8x1", "layers": ["FC 4", "FC classes"]}
PROTOCOL = {"extends": "demo", "epochs": 1, "rate_multipliers": (1,)}
RECIPE: Mapping[str, Any] = {
    "title": "small",
    "dataset": "digits",
    "network": NETWORK,
    "method": ("SGD", "uSF"),
    "protocol": PROTOCOL,
}
TABLE = """
title: two methods
columns: [SGD, uSF]
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, asymbp.Results]:
    folder = tmp_path_factory.mktemp("study")
    return folder, asymbp.train(RECIPE, results=folder / "results", workers=1)


def test_what_the_command_finds_is_what_python_finds(trained: tuple[Path, asymbp.Results]) -> None:
    folder, results = trained
    file = folder / "mine.yaml"
    file.write_text(json.dumps(RECIPE))
    events: list[StudyEvent] = []
    again = asymbp.train(file, results=str(folder / "results"), workers=1, on_event=events.append)
    assert not any(isinstance(event, StackStarted) for event in events)  # nothing is trained twice
    loaded = asymbp.train(asymbp.load_recipe(file), results=folder / "results", workers=1)
    done = CliRunner().invoke(
        cli, ["train", "--recipe", str(file), "--results", str(folder / "results"), "--workers", "1", "--json"]
    )
    cells = json.loads(done.output.splitlines()[-1])["cells"]
    names = {"recipe-recipe", "recipe-mine"}
    for records in (results.to_records(), again.to_records(), loaded.table.to_records(), cells):
        assert {record.pop("table") for record in records} < names
        records_of_first = results.to_records()
        for record in records_of_first:
            record.pop("table")
        assert records == records_of_first
        assert [record["column"] for record in records] == ["SGD", "uSF"]


def test_results_are_markdown_records_and_a_frame(
    trained: tuple[Path, asymbp.Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, results = trained
    error = results.table.to_records()[0]["error_percent"]
    text = str(results)
    assert text.startswith("## small\n\n|        |")
    assert f"{error:.2f}" in text
    assert results.failed == {}
    assert results._repr_markdown_() == results.table._repr_markdown_() == text
    with pytest.raises(asymbp.AsymbpError, match='there are 2 tables: "small", "small"'):
        asymbp.Results(results.tables * 2, {}).table  # noqa: B018
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(asymbp.AsymbpError, match="pandas is not installed"):
        results.to_pandas()
    frame = SimpleNamespace(DataFrame=SimpleNamespace(from_records=lambda records: [*records]))
    monkeypatch.setitem(sys.modules, "pandas", frame)
    assert results.to_pandas() == results.table.to_pandas() == results.to_records()


def test_protocol_and_seeds_replace_those_of_a_recipe(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps({**RECIPE, "method": "SGD", "seed": 7}))
    changes = {"protocol": {**PROTOCOL, "batch_size": 50}, "seeds": (2, 5)}
    for recipe in (file, asymbp.load_recipe(file)):
        results = asymbp.train(recipe, results=tmp_path / "results", workers=1, **changes)  # type: ignore[arg-type]
        assert {record["seed"] for record in results.to_records()} == {2, 5}
        assert {record["protocol"] for record in results.to_records()} == {
            "demo with epochs=1, rate_multipliers=[1.0], batch_size=50"
        }


def test_a_table_is_reproduced(tmp_path: Path) -> None:
    table = tmp_path / "mine.yaml"
    table.write_text(TABLE)
    results = asymbp.reproduce(
        table, protocol={**PROTOCOL, "batch_size": 500}, results=tmp_path / "results", workers=1, rule="held-out"
    )
    grid = results.table.filled.grid
    assert (grid.title, grid.seeds, grid.validation_fraction) == ("two methods", (0,), 0.1)
    assert [record["runs_done"] for record in results.to_records()] == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"table": 1}, "Table 1 lists networks"),
        ({"table": 9}, '"9" is not a table'),
        ({"dataset": "mnist"}, "--protocol must be given for mnist"),
        ({"dataset": ["digits", "digit"]}, '"digit" is not'),
        ({"seeds": 0}, "seeds are a number of them from 1 on"),
        ({"seeds": [1, 1]}, "or a list of different ones"),
        ({"workers": 0}, "workers are at least 1"),
        ({"device": "tpu"}, '"tpu" is not a device'),
        ({"rule": "best"}, 'the rule is "paper" or "held-out"'),
        ({"protocol": "papr"}, '"papr" is not a protocol'),
        ({"protocol": {"extends": "demo", "epoch": 3}}, "protocol.epoch: .*epochs"),
    ],
)
def test_what_is_asked_wrongly(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(asymbp.AsymbpError, match=message):
        asymbp.reproduce(**arguments, results=tmp_path / "results")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "uSG"}, 'recipe: method: "uSG" is not a method'),
        ({"columns": 3}, "recipe: columns: "),
        ({"protocol": {"epochs": object()}}, "recipe: protocol.epochs: .* is of type object, which YAML has not"),
    ],
)
def test_a_wrong_recipe_names_the_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(asymbp.AsymbpError, match=message):
        asymbp.train({**RECIPE, **changes})
