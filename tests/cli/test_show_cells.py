"""`asymbp show` of cells: numbers, runs, and a command that finds the same number in an empty store."""

import json
import shlex
from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner
from PIL import Image
from sample_tables import make_epoch

from asymbp_cli.analysis.tables import fill_all
from asymbp_cli.cli.app import cli
from asymbp_cli.errors import UsageError
from asymbp_cli.events import Provenance
from asymbp_cli.recipe.cell_commands import NO_COMMAND
from asymbp_cli.report.cell_page import describe_page, find_cells, list_runs
from asymbp_cli.report.command_listing import list_commands
from asymbp_cli.report.result_table import make_result_table
from asymbp_cli.results.store import Store

TINY = "{extends: demo, epochs: 1, rate_multipliers: [1, 0.1]}"
RECIPES = {
    "digits": f"dataset: digits\nmethod: uSF+BN\nprotocol: {TINY}\nseed: [1, 2]\n",
    "own": "dataset: {folder: pets, test_fraction: 0.5}\nnetwork: {input: 8x8x1, layers: [FC 4, FC classes]}\n"
    f"method: {{label: 'my \"own\"', method: uSF}}\nprotocol: {TINY}\n",
}


def asymbp(*words: str) -> str:
    done = CliRunner().invoke(cli, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("name", RECIPES)
def test_the_command_of_a_cell_finds_its_number_in_an_empty_store(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(12):
        file = tmp_path / "pets" / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 20 * number).save(file)
    (tmp_path / "mine.yaml").write_text(RECIPES[name])
    asymbp("train", "--recipe", "mine.yaml", "--quiet", "--workers", "1")
    (tmp_path / "mine.yaml").unlink()
    (line,) = asymbp("show", "--table", "mine", "--json").splitlines()
    cells = json.loads(line)["cells"]
    program, *words = shlex.split(cells[0]["command"])
    assert program == "asymbp"
    asymbp(*words, "--results", "again", "--quiet", "--workers", "1")
    (again,) = asymbp("show", "--table", "recipe", "--results", "again", "--json").splitlines()
    numbers = ("column", "seed", "error_percent", "run", "rate_multiplier", "epoch", "command")
    for cell, other in zip(cells, json.loads(again)["cells"], strict=True):
        assert [cell[key] for key in numbers] == [other[key] for key in numbers]


def test_cells_are_named_by_table_dataset_and_column(tmp_path: Path) -> None:
    results = ("--results", str(tmp_path))
    small_study.train(tmp_path, small_study.grid("SGD", "uSF+BN"))
    text = asymbp("show", "--table", "2", "--dataset", "digits", "--column", "usf+bn", *results)
    assert "uSF+BN on digits, A small table (--table 2), protocol paper with fewer epochs" in text
    assert "to train it alone: asymbp train --recipe '{dataset: digits, method: uSF+BN, protocol:" in text
    assert text.count("picked") == 1
    both = [json.loads(line) for line in asymbp("show", "--dataset", "digits", "--json", *results).splitlines()]
    assert [page["cells"][0]["column"] for page in both] == ["SGD", "uSF+BN"]
    assert [len(page["runs"]) for page in both] == [2, 2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name either RUN"),
        (["3f", "--table", "2"], "name either RUN"),
        (["--column", "uSF+BM"], r'no results with the column "uSF\+BM"\. Did you mean "uSF\+BN"\?'),
        (["--dataset", "mnist"], 'no results with the dataset "mnist"'),
        (["--table", "3"], 'no results for table "3"'),
    ],
)
def test_what_is_not_there_is_said(words: list[str], message: str, tmp_path: Path) -> None:
    small_study.train(tmp_path, small_study.grid("SGD", "uSF+BN"))
    with pytest.raises(UsageError, match=message):
        CliRunner().invoke(cli, ["show", *words, "--results", str(tmp_path)], catch_exceptions=False)


def test_runs_that_have_not_begun_are_counted(tmp_path: Path) -> None:
    small_study.train(tmp_path, small_study.grid("SGD"))
    with Store.open(tmp_path, create=False) as store:
        (page,) = find_cells(fill_all(store, store.grids()), [])
        known = {run.id: run for run in store.runs()}
    assert list_runs(page, known).notes == ()
    first, second = page.runs
    assert list_runs(page, {first: known[first]}).notes == ("Not begun: 1 run.",)
    assert second not in [row[0] for row in list_runs(page, {first: known[first]}).rows]
    assert list_runs(page, {}).notes == ("Not begun: 2 runs.",)


def test_a_cell_that_no_command_trains_alone_says_so(tmp_path: Path) -> None:
    grid = small_study.grid("SGD", "uSF").model_copy(update={"seeds": (1, 3)})
    both = grid.columns[0].model_copy(
        update={"header": "both", "entries": tuple(column.entries[0] for column in grid.columns)}
    )
    small_study.train(tmp_path, grid.model_copy(update={"columns": (both, grid.columns[0])}))
    with Store.open(tmp_path, create=False) as store:
        (table,) = fill_all(store, store.grids())
    none, some = (list(describe_page(page))[-1] for page in find_cells([table], []))
    assert none == NO_COMMAND
    assert some.startswith("to train it alone: asymbp train --recipe ")
    commands = list_commands(make_result_table(table))
    assert [row[-1].strip("`")[:12] for row in commands.rows] == ["-", "asymbp train"]
    assert commands.notes == (f"`-`: {NO_COMMAND}.",)


def test_a_run_with_held_out_data_shows_the_epoch_that_these_select(tmp_path: Path) -> None:
    """An earlier epoch has a lower test error, which nobody may pick."""
    (run,) = small_study.grid("SGD", epochs=2, multipliers=(1.0,)).all_runs().values()
    run = run.model_copy(update={"protocol": run.protocol.model_copy(update={"validation_fraction": 0.1})})
    with Store.open(tmp_path) as store, store.writing():
        store.save_dataset(small_study.INFO)
        store.begin([run], 0, Provenance("host", "cpu", {}, None, 1))
        for epoch, wrong, held_out in ((1, 10, 9), (2, 20, 1)):
            counts = {"test_seen": 360, "validation_wrong": held_out, "validation_seen": 100}
            store.record(make_epoch(run.id, epoch, wrong, **counts))
    first, second, *_ = asymbp("show", run.id, "--results", str(tmp_path)).splitlines()
    assert first.startswith(f"run {run.id}: SGD x1 on ")
    assert second == "state: 2/2, test error 5.56 % in epoch 2, which held-out data select"
