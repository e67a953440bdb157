"""What is said above the tables of a study, and `asymbp conclusions`."""

import json
import re
from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner

from asymbp_cli.analysis.conclusions import CHECKS
from asymbp_cli.analysis.conclusions.ours import is_judgeable, judge_protocols
from asymbp_cli.analysis.tables import fill_all
from asymbp_cli.cli.app import cli
from asymbp_cli.cli.study_summary import fill_and_summarize
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.table import load_table
from asymbp_cli.results.store import Store

METHODS = tuple(column.header for column in load_table("2")[0].columns)


def papers(label: str = "quick", key: str = "table-2", *methods: str) -> Grid:
    made = small_study.grid(*methods or METHODS, epochs=1, multipliers=(1.0,), key=key)
    named = [column.model_copy(update={"paper_name": column.header}) for column in made.columns]
    return made.model_copy(update={"columns": tuple(named), "protocol_label": label})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of Table 2 on the digits, by an engine without arithmetic, and of a recipe."""
    directory = tmp_path_factory.mktemp("trained") / "results"
    small_study.train(directory, papers(), papers("quick", "recipe-mine", "SGD", "BM"))
    return directory


def test_a_table_of_the_paper_has_its_conclusions_in_two_lines(trained: Path) -> None:
    with Store.open(trained) as store:
        grids = [grid for grid in store.grids() if grid.key == "table-2"]
        _, (first, second) = fill_and_summarize(grids, store)
    counts = rf"{len(CHECKS)} conclusions of the paper: \d supported, \d not supported, \d open"
    assert re.fullmatch(rf"On digits, quick: {counts}\.", first)
    place = f"--results {trained}"
    assert second == f"`asymbp conclusions {place}` has the reasons, `asymbp report {place}` everything."


def test_they_rest_on_all_runs_of_the_results(trained: Path) -> None:
    with Store.open(trained) as store:
        one = papers("quick", "table-2", "SGD")
        (table,), summary = fill_and_summarize([one], store)
        assert [column.header for column in table.grid.columns] == ["SGD"]
        assert summary[0].startswith("On digits, quick: ")


def test_the_epochs_of_a_store_are_read_once_at_the_end(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs of a table are those that the conclusions rest on: both are filled from one reading."""
    reads: list[set[str]] = []
    read = Store.selected
    monkeypatch.setattr(Store, "selected", lambda store, ids: (reads.append(set(ids)), read(store, reads[-1]))[1])
    with Store.open(trained) as store:
        grids = [grid for grid in store.grids() if grid.key == "table-2"]
        tables, summary = fill_and_summarize(grids, store)
        assert len(summary) == 2
        assert reads == [set(grids[0].all_runs())]
        assert tables == fill_all(store, grids)


@pytest.mark.parametrize(
    ("label", "key"),
    [("quick", "recipe-mine"), ("quick with epochs=3", "table-2"), ("mine", "table-2"), ("quick", "mine")],
)
def test_other_experiments_have_none(label: str, key: str, trained: Path) -> None:
    grid = papers(label, key)
    assert not is_judgeable(grid)
    with Store.open(trained) as store:
        tables, summary = fill_and_summarize([grid], store)
        assert summary == []
        assert judge_protocols(tables, store.datasets()) == []


def test_conclusions_are_listed_with_their_reasons(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(cli, ["conclusions", "--results", str(trained)], catch_exceptions=False).output
    assert max(map(len, shown.splitlines())) <= 80
    flat = " ".join(shown.split())
    for number, check in enumerate(CHECKS, 1):
        assert f"{number}. {check.claim}" in flat
    assert flat.count("ours (quick) on digits: ") == len(CHECKS)
    assert "Missing: " in flat  # Tables 3 to 5 were not trained


def test_verdicts_on_the_papers_numbers_of_some_datasets_are_listed_once(tmp_path: Path) -> None:
    row = small_study.row(label="MNIST").model_copy(update={"paper_name": "MNIST"})
    tables = [papers(label).model_copy(update={"rows": (row,)}) for label in ("quick", "paper")]
    small_study.train(tmp_path, *tables)
    shown = CliRunner().invoke(cli, ["conclusions", "--results", str(tmp_path)], catch_exceptions=False).output
    assert shown.count(" the paper on MNIST: ") == len(CHECKS)
    assert shown.count(" ours (") == 2 * len(CHECKS)


def test_conclusions_as_json_have_the_evidence(trained: Path) -> None:
    done = CliRunner().invoke(cli, ["conclusions", "--json", "--results", str(trained)], catch_exceptions=False)
    records = json.loads(done.output)
    assert [one["numbers_of"] for one in records] == ["paper", "ours"] * len(CHECKS)
    assert all(one["reason"] and one["evidence"] and one["claim"] for one in records)
    ours = records[1]
    assert (ours["protocol"], ours["seeds"], ours["key"]) == ("quick", [0], CHECKS[0].key)


def test_without_a_table_of_the_paper_there_are_no_conclusions(tmp_path: Path) -> None:
    small_study.train(tmp_path, papers("quick", "recipe-mine", "SGD"))
    done = CliRunner().invoke(cli, ["conclusions", "--results", str(tmp_path)])
    assert "has no complete cell of a table of the paper" in str(done.exception)
