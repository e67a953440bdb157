"""`asymbp.train` and `asymbp.reproduce` do what the commands do, and say what is wrong."""

import json
import sys
from collections import defaultdict
from dataclasses import replace
from functools import partial
from importlib.metadata import EntryPoint
from inspect import signature
from pathlib import Path
from types import SimpleNamespace

import fake_engine
import pytest
from click.testing import CliRunner
from plugin_examples import NOISE, Load
from small_recipe import PROTOCOL, RECIPE

import asymbp_cli as asymbp
from asymbp_cli import study
from asymbp_cli.api import arguments
from asymbp_cli.api.asked import Reproduction
from asymbp_cli.cli.app import cli
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.executors import StackStarted, StudyEvent
from asymbp_cli.executors.registry import EXECUTORS
from asymbp_cli.plugins.registry import forget
from asymbp_cli.results.store import Store
from asymbp_cli.specs.references import REGISTERED
from asymbp_cli.training.weight_files import read_weights

TABLE = """
title: two methods
columns: [SGD, uSF]
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, asymbp.Results]:
    folder = tmp_path_factory.mktemp("study")
    return folder, asymbp.train(RECIPE, results=folder / "results", workers=1)


def test_both_calls_have_the_same_settings() -> None:
    train, reproduce = (
        {key: (found.kind, found.annotation, found.default) for key, found in signature(call).parameters.items()}
        for call in (asymbp.train, asymbp.reproduce)
    )
    own = {"recipe", "table", "dataset", "network", "rule", "seeds"}
    shared = [name for name in train if name not in own]
    assert shared == [name for name in reproduce if name not in own]
    assert [train[name] for name in shared] == [reproduce[name] for name in shared]


def test_shards_from_python_are_joined_in_one_directory(
    trained: tuple[Path, asymbp.Results], tmp_path: Path
) -> None:
    results = trained[1]
    for number in (1, 2):
        part = asymbp.train(RECIPE, results=tmp_path, workers=1, shard=f"{number}/2")
        assert sum(record["runs_done"] for record in part.to_records()) == number
    assert part.to_records() == results.to_records()
    with Store.open(tmp_path) as store:
        (grid,) = store.grids()
        commands = store.commands(grid)
    assert [command.endswith(f"shard='{number}/2')") for number, command in enumerate(commands, 1)] == [True] * 2


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


def test_an_executor_is_checked_once_and_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bool] = []
    checked = replace(EXECUTORS["inline"], check=lambda _, directory: written.append(directory.exists()))
    monkeypatch.setitem(EXECUTORS, "inline", checked)
    monkeypatch.setitem(vars(arguments), "Execution", partial(study.Execution, train=fake_engine.train))
    monkeypatch.setattr(study, "_measure_steps", lambda *_: defaultdict(lambda: 0.001))
    asymbp.train(RECIPE, results=tmp_path / "python", executor="inline")
    (tmp_path / "mine.yaml").write_text(json.dumps(RECIPE))
    words = ["train", str(tmp_path / "mine.yaml"), "--results", str(tmp_path / "command"), "--executor", "inline"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert written == [False, False]


def test_results_are_markdown_records_and_a_frame(
    trained: tuple[Path, asymbp.Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, results = trained
    error = results.table.to_records()[0]["error_percent"]
    text = str(results)
    assert text.startswith("## small\n\n|  ")
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


def test_each_dataset_has_a_row_for_each_network(tmp_path: Path) -> None:
    networks = [{"input": f"{size}x{size}x1", "layers": ["FC 4", "FC classes"]} for size in (8, 6)]
    both = {**RECIPE, "network": networks}
    records = asymbp.train(both, results=tmp_path / "both", workers=1).to_records()
    assert [record["dataset"] for record in records] == ["digits (8x8x1)"] * 2 + ["digits (6x6x1)"] * 2
    alone = asymbp.train({**RECIPE, "network": networks[1]}, results=tmp_path / "alone", workers=1).to_records()
    for key in ("run", "wrong"):
        assert [record[key] for record in records[2:]] == [record[key] for record in alone]


def test_networks_that_are_one_for_the_classes_of_a_dataset_are_refused(tmp_path: Path) -> None:
    networks = [{"input": "8x8x1", "layers": [f"FC {last}"]} for last in ("classes", 10)]
    with pytest.raises(asymbp.AsymbpError, match=r"two of the networks are the same .* Leave one out"):
        asymbp.train({**RECIPE, "network": networks}, results=tmp_path)


def test_a_table_is_reproduced(tmp_path: Path) -> None:
    table = tmp_path / "mine.yaml"
    table.write_text(TABLE)
    results = asymbp.reproduce(
        table, protocol={**PROTOCOL, "batch_size": 500}, results=tmp_path / "results", workers=1, rule="held-out"
    )
    grid = results.table.filled.grid
    assert (grid.title, grid.seeds, grid.validation_fraction) == ("two methods", (0,), 0.1)
    assert [record["runs_done"] for record in results.to_records()] == [1, 1]


def test_a_table_with_a_protocol_and_without_datasets_is_trained_on_digits(tmp_path: Path) -> None:
    table = "{title: x, protocol: quick, columns: [SGD]}"
    source = DataSource(tmp_path, decode=False)
    asked = Reproduction.read(table, (), None, None, None, (0,)).prepare(source, pytest.fail)
    assert [row.label for row in asked.grids[0].rows] == ["digits"]
    with pytest.raises(asymbp.AsymbpError, match="`all` stands for the datasets that a table names"):
        Reproduction.read(table, ("all",), None, None, None, (0,)).prepare(source, pytest.fail)


def test_several_recipes_with_rule_and_seeds_are_one_study(tmp_path: Path) -> None:
    pairs = (("a", "uSF"), ("b", "BN"))
    one, other = ({**RECIPE, "title": title, "method": ["SGD", method]} for title, method in pairs)
    results = asymbp.train([one, other], rule="held-out", seed=3, seeds=2, results=tmp_path, workers=1)
    assert [table.filled.grid.title for table in results.tables] == ["a", "b"]
    assert {table.filled.grid.seeds for table in results.tables} == {(3, 4)}
    assert {table.filled.grid.validation_fraction for table in results.tables} == {0.1}
    with Store.open(tmp_path) as store:
        assert len(store.finished_ids()) == 6  # SGD, uSF and BN, twice each
        (call,) = {call for grid in store.grids() for call in store.commands(grid)}
    assert eval(call, {"asymbp": asymbp}).to_records() == results.to_records()


def test_several_tables_are_one_study(tmp_path: Path) -> None:
    tables = [tmp_path / "one.yaml", str(tmp_path / "other.yaml")]
    for table, method in zip(tables, ("SGD", "uSF"), strict=True):
        Path(table).write_text(f"title: {method}\ncolumns: [{method}]\n")
    results = asymbp.reproduce(tables, protocol=PROTOCOL, seed=2, results=tmp_path, workers=1)
    assert [table.filled.grid.title for table in results.tables] == ["SGD", "uSF"]
    assert {record["seed"] for record in results.to_records()} == {2}
    with pytest.raises(asymbp.AsymbpError, match='"9" is not a table'):
        asymbp.reproduce([2, 9], results=tmp_path)


def test_a_recipe_that_comes_with_the_tool_is_loaded_by_its_name() -> None:
    assert asymbp.load_recipe("usf-digits").name == "usf-digits"
    for own in (Path("usf-digits"), "./usf-digits"):
        with pytest.raises(asymbp.AsymbpError, match="usf-digits: there is no such file"):
            asymbp.train(own)
    with pytest.raises(asymbp.AsymbpError, match=rf"{Path.home()}/none\.yaml: there is no such file"):
        asymbp.train(Path("~/none.yaml"))


class Whole:
    """What numpy's whole numbers have."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __index__(self) -> int:
        return self.number


def test_whole_numbers_and_paths_have_any_type(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps({**RECIPE, "method": "SGD"}))
    assert asymbp.load_recipe(str(file)) == asymbp.load_recipe(file)
    results = asymbp.train(file, seeds=Whole(2), workers=Whole(1), results=tmp_path)  # type: ignore[arg-type]
    assert results.table.filled.grid.seeds == (0, 1)
    for dataset in (tmp_path / "photos", [tmp_path / "photos"]):
        with pytest.raises(asymbp.AsymbpError, match=r"photos does not exist\. Write the path of a folder"):
            asymbp.reproduce(dataset=dataset, protocol="demo", results=tmp_path)


def test_a_stored_call_can_be_repeated(tmp_path: Path) -> None:
    """It has what is not a default, and finds the same table."""
    place = tmp_path / "it's"
    mine = {**PROTOCOL, "batch_size": 500}
    table = tmp_path / "mine.yaml"
    table.write_text(TABLE.replace(", uSF", ""))
    calls = []
    for results in (
        asymbp.reproduce(table, protocol=mine, seeds=(3,), results=place, workers=1),
        asymbp.train(asymbp.load_recipe(write_recipe(tmp_path)), results=place, workers=1, on_event=print),
    ):
        with Store.open(place) as store:
            (call,) = store.commands(results.table.filled.grid)
        calls.append(call)
        assert eval(call, {"asymbp": asymbp}).to_records() == results.to_records()
    assert calls[0] == (
        f"asymbp.reproduce({str(table)!r}, protocol={{'extends': 'demo', 'epochs': 1, 'rate_multipliers': [1], "
        f"'batch_size': 500}}, seeds=[3], results={str(place)!r}, workers=1)"
    )


def write_recipe(folder: Path) -> Path:
    file = folder / "recipe.yaml"
    file.write_text(json.dumps({**RECIPE, "method": "SGD"}))
    return file


def test_weights_are_kept_or_missed(trained: tuple[Path, asymbp.Results], tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"2 runs had ended before, without keep_weights=.* results=DIR") as found:
        asymbp.train(RECIPE, results=trained[0] / "results", workers=1, keep_weights="best")
    assert found[0].filename == __file__
    asymbp.train({**RECIPE, "method": "SGD"}, results=tmp_path, workers=1, keep_weights="last")
    (file,) = (tmp_path / "weights").iterdir()
    weights = read_weights(file.parent, file.stem)
    assert weights
    assert weights.which == "last"


def fail(event: object) -> None:
    raise AssertionError("nothing is left to train")


def test_plugins_are_loaded_and_other_versions_warned_of(load: Load, tmp_path: Path) -> None:
    file, recipe = tmp_path / "mine.py", {**RECIPE, "method": "wNoise"}
    file.write_text(NOISE)
    written = tmp_path / "mine.yaml"
    written.write_text(json.dumps(recipe))
    with pytest.raises(asymbp.AsymbpError, match=r'"wNoise" is not a method.*add plugins=FILE'):
        asymbp.load_recipe(written)
    loaded = asymbp.load_recipe(written, plugins=file)
    asymbp.train(loaded, results=tmp_path / "results", workers=1)
    asymbp.train(recipe, plugins=file, results=tmp_path / "results", workers=1, on_event=fail)
    (plugin,) = {*REGISTERED.values()}
    forget(plugin)
    load(f"{NOISE}# another version")
    with pytest.warns(UserWarning, match=r"were made with another version of mine\.py"):
        asymbp.train(recipe, results=tmp_path / "results", workers=1)


def test_installed_plugins_are_loaded(load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = EntryPoint(name="mine", value="no_such_module_anywhere", group="asymbp.plugins")
    monkeypatch.setattr("asymbp_cli.api.load_plugins.entry_points", lambda group: [entry])
    for call in (
        lambda: asymbp.train(RECIPE, results=tmp_path),
        lambda: asymbp.reproduce(results=tmp_path),
        lambda: asymbp.load_recipe("usf-digits"),
    ):
        with pytest.raises(asymbp.AsymbpError, match="no_such_module_anywhere: the installed package"):
            call()
