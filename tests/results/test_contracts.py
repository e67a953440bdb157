"""The page on what other programs can read is what the program writes: database, events, cells, curves, runs."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
import sample_tables
import small_study
from click.testing import CliRunner

from asymbp_cli.cli.app import cli
from asymbp_cli.cli.json_lines import make_line, make_plan_event
from asymbp_cli.events import EpochEnded, EpochKept
from asymbp_cli.executors import StudyEvent
from asymbp_cli.files.paths import FILE_NAME
from asymbp_cli.report.comparison import Side, compare_tables, make_comparison_record
from asymbp_cli.report.curves import COLUMNS
from asymbp_cli.report.records import make_records
from asymbp_cli.results.migrations import MIGRATIONS
from asymbp_cli.results.store import Store

PAGE = (Path(__file__).parents[2] / "asymbp_cli/results/README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """Return the text below a heading."""
    return re.split(r"^## ", PAGE.partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the lines of tables, without headers."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line] for line in lines]


def names(text: str) -> list[str]:
    """Return the names in the first column of tables."""
    return [row[0].strip("`") for row in rows(text)]


def events() -> Iterator[type]:
    """Yield the events that displays are told."""
    yield from (kind for kind in get_args(StudyEvent) if kind is not EpochKept)  # which stays where it was made


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    small_study.train(tmp_path / "results", small_study.grid("SGD", multipliers=(1000.0,), epochs=2))
    return tmp_path / "results"


def test_the_database_is_as_the_page_says(directory: Path) -> None:
    page = section(f"The database, version {len(MIGRATIONS)}")
    documented = {
        part.partition("`")[0]: [(row[0].strip("`"), row[1]) for row in rows(part)]
        for part in re.split(r"^`", page, flags=re.MULTILINE)[2:]  # before them is the line on the version
    }
    with closing(sqlite3.connect(directory / FILE_NAME)) as connection:
        live = {
            table: [(column[1], column[2]) for column in connection.execute(f"PRAGMA table_info({table})")]
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert documented == live


def test_events_are_as_the_page_says() -> None:
    page = section("Events, version 2")
    documented = {row[0].strip("`"): re.findall(r"`(\w+)`", row[1]) for row in rows(page)}
    live = {make_line(kind.__name__, {})["kind"]: [field.name for field in fields(kind)] for kind in events()}
    runs = small_study.grid("SGD").all_runs()
    plan = make_plan_event([small_study.grid("SGD")], runs, dict.fromkeys(runs, 1), 1.0)
    common = list(make_line("plan", {}))
    assert common == ["event", "kind"]
    assert [*common, *documented.pop("plan")] == list(plan)
    assert documented.pop("table") == ["cells"]
    for name in (*common, "time", "method", "dataset_name", "column"):
        documented.pop(name)
    assert documented == live
    assert {run["dataset_name"] for run in plan["runs"]} == {"digits"}
    assert {run["column"] for run in plan["runs"]} == {"SGD"}
    for name in plan["runs"][0]:
        assert f"`{name}`" in page.rpartition("A run in `plan` has")[2]


def test_comparisons_are_as_the_page_says() -> None:
    sides = [Side(name, (sample_tables.filled(1.0, 2.0, 3.0, 4.0, 5.0),)) for name in "ab"]
    (record,) = map(make_comparison_record, compare_tables(*sides))
    page = section("Comparisons, version 2")
    assert [name for name in record if f"`{name}`" not in page] == []
    row = record["rows"][0]
    documented = [name for name in names(page) if name != "second_percent`, ..."]
    others = [name.replace("first", "second") for name in documented if name.startswith("first")]
    assert sorted(row) == sorted([*documented, *others, record["first"], record["second"], "difference, points"])
    texts = ("dataset", "column", "first_run", "second_run")
    assert [name for name, value in row.items() if isinstance(value, str)] == sorted(texts, key=list(row).index)


def test_cells_are_as_the_page_says() -> None:
    ((record, *_),) = make_records([sample_tables.filled(1.0, 2.0, 3.0, 4.0, 5.0)])
    assert names(section("Cells, version 1")) == list(record)


def test_curves_are_as_the_page_says() -> None:
    documented = {name.strip("`"): tuple(rest) for name, *rest in rows(section("Curves, version 2"))}
    assert documented == {name: (column.kind, column.meaning) for name, column in COLUMNS.items()}
    assert list(documented) == list(COLUMNS)


def test_a_run_as_json_has_all_that_is_stored(directory: Path) -> None:
    with Store.open(directory, create=False) as store:
        (summary,) = store.runs()
        detail = store.run(summary.id)
    done = CliRunner().invoke(cli, ["show", summary.id[:6], "--json", "--results", str(directory)])
    found = json.loads(done.stdout)
    assert list(found) == ["summary", "spec", "attempts", "epochs"]
    assert found["summary"]["id"] == summary.id
    assert found["summary"]["best"] == {
        "epoch": summary.best[2],
        "error_percent": round(100 * summary.best[0] / summary.best[1], 4),
        "wrong": summary.best[0],
        "seen": summary.best[1],
    }
    assert type(detail.run).model_validate(found["spec"]).id == summary.id
    assert [attempt["outcome"] for attempt in found["attempts"]] == ["finished"]
    assert isinstance(found["attempts"][0]["software"], dict)
    first, second = found["epochs"]
    assert first["measures"] == {"angle": {str(k): v for k, v in detail.epochs[0].measures["angle"].items()}}
    assert (second["diverged"], second["test_loss"]) == (True, None)
    assert list(first) == [field.name for field in fields(EpochEnded)]
    page = section("A run as JSON, version 1")
    assert [name for name in found if f"`{name}`" not in page] == []
