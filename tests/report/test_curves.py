"""Curves: one record for each run and epoch, and the files of them."""

import csv
import io
import sys
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner, Result

from asymbp_cli.analysis.selection import select_grids
from asymbp_cli.cli.app import cli
from asymbp_cli.errors import UsageError
from asymbp_cli.report.curve_files import CURVE_FORMATS
from asymbp_cli.report.curves import COLUMNS, Curves, make_curves
from asymbp_cli.results.contents import Contents, StoredGrid
from asymbp_cli.results.store import Store

EPOCHS = 4
TABLES = ["column.table-2", "column.recipe-mine"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tables that share the baseline, and a run that diverges."""
    directory = tmp_path_factory.mktemp("curves")
    tables = [
        small_study.grid("SGD", "uSF+BN", multipliers=(1000.0, 1.0)),
        small_study.grid("SGD", "BM", multipliers=(1000.0, 1.0), key="recipe-mine"),
    ]
    small_study.train(directory, *tables)
    return directory


@pytest.fixture(scope="module")
def contents(results: Path) -> Contents:
    with Store.open(results, create=False) as store:
        return store.contents()


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["export", *map(str, arguments)], catch_exceptions=False, standalone_mode=False)


def test_every_epoch_of_every_run_is_there_once(contents: Contents) -> None:
    curves = make_curves(contents)
    found = [(record["run"], record["epoch"]) for record in curves.records]
    expected = [(run, epoch) for run in contents.runs for epoch in range(1, EPOCHS + 1)]
    assert sorted(found) == sorted(expected)
    shared = {record["table"] for record in curves.records if record["method"] == "SGD"}
    assert shared == {"table-2; recipe-mine"}
    assert {record["column"] for record in curves.records if record["method"] == "SGD"} == {"SGD"}
    assert {record["table"] for record in curves.records if record["method"] == "BM"} == {"recipe-mine"}


def test_values_are_those_of_the_store(contents: Contents) -> None:
    curves = make_curves(contents)
    assert list(curves.columns) == [*COLUMNS, "angle.2", "angle.3", *TABLES]
    assert all(list(record) == list(curves.columns) for record in curves.records)
    for record in curves.records:
        stored = contents.runs[record["run"]]
        epoch = stored.epochs[record["epoch"] - 1]
        assert record["test_error_percent"] == round(100 * epoch.test_wrong / 360, 4)
        assert (record["rate"], record["seconds"]) == (epoch.rate, epoch.seconds)
        assert (record["rate_multiplier"], record["seed"]) == (stored.run.rate_multiplier, 0)
        assert record["validation_error_percent"] is None
        assert record["angle.2"] == epoch.measures.get("angle", {}).get(2)
        assert record["angle.3"] is None
        assert record["diverged"] == (record["rate_multiplier"] == 1000 and record["epoch"] >= 2)
        assert (record["train_loss"] is None) == record["diverged"]


def test_a_table_has_its_own_runs(contents: Contents) -> None:
    stored = [entry.grid for entry in contents.grids.values()]
    curves = make_curves(contents, select_grids(stored, ["2"], [], ["digits"]))
    assert {record["table"] for record in curves.records} == {"table-2"}
    assert {record["method"] for record in curves.records} == {"SGD", "uSF+BN"}
    assert not set(TABLES) & curves.columns.keys()  # as there is no other table


def test_a_table_is_selected_by_its_own_column(contents: Contents) -> None:
    records = make_curves(contents).records
    for name, key in zip(TABLES, ("table-2", "recipe-mine"), strict=True):
        (grid,) = [entry.grid for entry in contents.grids.values() if entry.grid.key == key]
        own = [record for record in records if record[name]]
        assert {record["run"] for record in own} == set(grid.all_runs())
        assert all(record[name] == record["method"] for record in own)


def test_tables_of_one_name_have_their_protocols_in_their_columns(contents: Contents) -> None:
    (entry,) = [entry for entry in contents.grids.values() if entry.grid.key == "recipe-mine"]
    other = replace(entry, grid=entry.grid.model_copy(update={"protocol_label": "other"}))
    curves = make_curves(replace(contents, grids={"a": entry, "b": other}))
    assert list(curves.columns)[-2:] == [
        f"column.recipe-mine ({entry.grid.protocol_label})",
        "column.recipe-mine (other)",
    ]
    assert [record[name] for record in curves.records for name in list(curves.columns)[-2:]].count(
        "BM"
    ) == 4 * EPOCHS


def test_a_measure_of_a_plugin_has_its_hash_only_beside_another_version(contents: Contents) -> None:
    def columns(*names: str) -> list[str]:
        runs = {
            key: replace(stored, epochs=(replace(stored.epochs[0], measures={name: {2: 0.5}}),))
            for (key, stored), name in zip(contents.runs.items(), cycle(names), strict=False)
        }
        curves = make_curves(replace(contents, runs=runs, grids={}))
        found = list(curves.columns)[len(COLUMNS) :]
        assert all([record[name] for name in found].count(0.5) == 1 for record in curves.records)
        return found

    first, second = f"distance@{'0' * 16}", f"distance@{'1' * 16}"
    assert columns(first) == ["distance.2"]
    assert columns(first, "angle") == ["angle.2", "distance.2"]
    assert columns(first, second) == [f"{first}.2", f"{second}.2"]


def test_a_run_of_no_table_is_there_too(contents: Contents) -> None:
    curves = make_curves(replace(contents, grids={}))
    assert len(curves.records) == EPOCHS * len(contents.runs)
    assert {(record["table"], record["dataset"]) for record in curves.records} == {("", "digits")}


def test_csv_has_the_numbers_and_no_formulas(contents: Contents, tmp_path: Path, results: Path) -> None:
    hostile = {
        key: StoredGrid(entry.grid.model_copy(update={"protocol_label": "=HYPERLINK(1)"}), (), 0.0, 0.0)
        for key, entry in contents.grids.items()
    }
    text = CURVE_FORMATS[".csv"](make_curves(replace(contents, grids=hostile))).decode()
    assert {row["protocol"] for row in csv.DictReader(io.StringIO(text))} == {"'=HYPERLINK(1)"}
    done = invoke("--curves", tmp_path / "c.csv", "--results", results)
    assert f"wrote {tmp_path / 'c.csv'}: 6 runs, 24 epochs" in done.stderr
    rows = list(csv.DictReader(io.StringIO((tmp_path / "c.csv").read_text())))
    records = make_curves(contents).records
    assert [float(row["angle.2"] or "nan") for row in rows] == pytest.approx(
        [float("nan") if record["angle.2"] is None else record["angle.2"] for record in records], nan_ok=True
    )
    assert [row["diverged"] for row in rows] == [str(record["diverged"]) for record in records]
    assert {row["train_loss"] for row in rows if row["diverged"] == "True"} == {""}


def test_a_measure_of_others_is_no_formula_either(contents: Contents) -> None:
    runs = {
        key: replace(stored, epochs=tuple(replace(epoch, measures={"=1+1": {2: 0.5}}) for epoch in stored.epochs))
        for key, stored in contents.runs.items()
    }
    header, *_ = CURVE_FORMATS[".csv"](make_curves(replace(contents, runs=runs))).decode().splitlines()
    assert header.split(",")[len(COLUMNS) :] == ["'=1+1.2", *TABLES]


def test_parquet_has_types(contents: Contents) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="not run: pyarrow is not installed")
    curves = make_curves(contents)
    table = parquet.read_table(io.BytesIO(CURVE_FORMATS[".parquet"](curves)))
    assert table.to_pylist() == list(curves.records)
    assert {str(table.schema.field(name).type) for name in ("run", "epoch", "rate", "diverged")} == {
        "string",
        "int64",
        "double",
        "bool",
    }


def test_parquet_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'asymbp\[parquet\]', or write a .csv file"):
        CURVE_FORMATS[".parquet"](Curves({}, []))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--curves", "c.xlsx"), "c.xlsx must end in .csv or .parquet"),
        (("--curves", "c.csv", "--dataset", "mnist"), 'no results with the dataset "mnist"'),
        (("--curves", "checkpoints/c.csv"), "belongs to stored results"),
    ],
)
def test_mistakes_are_messages(
    arguments: tuple[str, ...], message: str, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(results)
    with pytest.raises(UsageError, match=message):
        invoke(*arguments, "--results", results)
