"""`asymbp store check`: every kind of damage is found, run by run."""

from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner

from asymbp_cli.cli.app import cli
from asymbp_cli.recipe.grid import grid_id
from asymbp_cli.results.check import check_results
from asymbp_cli.results.store import FILE_NAME

GRID = small_study.grid("SGD", "uSF", multipliers=(1.0,))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    small_study.train(tmp_path, GRID)
    return tmp_path


def test_results_without_damage(results: Path) -> None:
    checked = check_results(results)
    assert (checked.runs, checked.epochs, checked.problems) == (2, 8, ())
    found = CliRunner().invoke(
        cli, ["store", "check", "--results", str(results)], catch_exceptions=False, standalone_mode=False
    )
    assert (found.return_value, found.stdout) == (0, f"{results}/: ok, 2 runs, 8 epochs\n")


FIRST = "(SELECT min(id) FROM runs)"


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (f"DELETE FROM epochs WHERE run = {FIRST} AND epoch = 2", "the run {} has other epochs than 1, 2"),
        (f"DELETE FROM epochs WHERE run = {FIRST} AND epoch = 4", "the run {} has ended before its last epoch"),
        (f"UPDATE epochs SET test_seen = 361 WHERE run = {FIRST}", "epoch 1 of the run {} has seen other samples"),
        (
            f"UPDATE epochs SET test_wrong = -1 WHERE run = {FIRST}",
            "the run {}: an epoch of it has -1 wrong",
        ),
        (f"UPDATE epochs SET rate = 'x' WHERE run = {FIRST}", "the run {}: a value is of another type"),
        (
            f"UPDATE runs SET spec = json_set(spec, '$.seed', 7) WHERE id = {FIRST}",
            "the run {} has the content",
        ),
        (f"UPDATE runs SET spec = '{{' WHERE id = {FIRST}", "the run {}: "),
        (f"UPDATE runs SET spec = CAST(x'7bff' AS TEXT) WHERE id = {FIRST}", "the run {}: "),
        (f"UPDATE runs SET created = -1 WHERE id = {FIRST}", "the run {} has a date that cannot be"),
        (f"UPDATE attempts SET software = '[]' WHERE run = {FIRST}", "the run {}: software is not a mapping"),
        (f"UPDATE runs SET state = 'dead' WHERE id = {FIRST}", "the file: CHECK constraint failed in runs"),
        (f"DELETE FROM runs WHERE id = {FIRST}", "the table epochs: a row belongs to one that is missing in runs"),
        (
            "UPDATE datasets SET info = json_set(info, '$.fingerprint', 'x')",
            "the dataset {f} has another",
        ),
        ("UPDATE grids SET spec = json_set(spec, '$.key', 'table-3')", "the table {g} has the content of another"),
    ],
)
def test_what_is_damaged_is_said(statement: str, problem: str, results: Path) -> None:
    run_id = small_study.change(results)[0]
    small_study.change(results, statement)
    before = (results / FILE_NAME).read_bytes()
    found = CliRunner().invoke(
        cli, ["store", "check", "--results", str(results)], catch_exceptions=False, standalone_mode=False
    )
    assert found.return_value == 1
    expected = problem.format(run_id, f=small_study.INFO.fingerprint, g=grid_id(GRID))
    assert any(line.startswith(expected) for line in found.stdout.splitlines()), found.stdout
    assert "is damaged. Put back a copy of asymbp.sqlite" in found.stderr
    assert (results / FILE_NAME).read_bytes() == before


def test_all_damaged_runs_are_listed(results: Path) -> None:
    ids = small_study.change(results, "DELETE FROM epochs WHERE epoch = 1")
    assert [problem.split()[2] for problem in check_results(results).problems] == ids
