"""`asymbp store check`: every kind of damage is found, run by run."""

import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner

from asymbp_cli.cli.app import cli
from asymbp_cli.events import CheckpointSaved, EpochEnded
from asymbp_cli.executors import StudyEvent
from asymbp_cli.recipe.grid import grid_id
from asymbp_cli.results.check import check_results
from asymbp_cli.results.store import FILE_NAME
from asymbp_cli.training import resume

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


def test_rows_that_a_copy_lost_are_found_by_newer_checkpoints(tmp_path: Path) -> None:
    """The file is copied without its log, and checkpoints later. What a checkpoint stands on is in the file."""
    copy = tmp_path / "copy"
    kept: list[dict[str, int]] = []

    def copy_alone(event: StudyEvent) -> None:
        if isinstance(event, CheckpointSaved) and event.epoch in (1, 3):
            files = tmp_path / "results" / "checkpoints"
            shutil.copytree(files, copy / "checkpoints", dirs_exist_ok=True)
            if event.epoch == 1:
                shutil.copyfile(tmp_path / "results" / FILE_NAME, copy / FILE_NAME)
            saved = resume.all_saved_epochs(copy / "checkpoints")
            kept.append(saved)
            problems = check_results(copy, saved).missing
            assert len(problems) == (0 if event.epoch == 1 else len(saved))
            assert all("the latest rows are missing. Perhaps" in problem for problem in problems)

    small_study.train(tmp_path / "results", GRID, checkpoint_seconds=0.0, on_event=copy_alone)
    assert [set(saved.values()) for saved in kept] == [{1}, {3}]
    found = CliRunner().invoke(cli, ["store", "check", "--results", str(copy)], standalone_mode=False)
    assert found.return_value == 1
    assert "lacks rows. Put back asymbp.sqlite with its asymbp.sqlite-wal, or repeat" in found.stderr
    assert "--drop" not in found.output
    dropped = CliRunner().invoke(cli, ["store", "check", "--drop", "--results", str(copy)], standalone_mode=False)
    assert dropped.stdout.splitlines()[1:] == found.stdout.splitlines()
    assert (dropped.return_value, dropped.stderr) == (1, found.stderr)
    assert resume.all_saved_epochs(copy / "checkpoints") == kept[-1]
    small_study.train(copy, GRID)
    assert small_study.numbers(copy) == small_study.numbers(tmp_path / "results")


def test_a_study_that_has_ended_is_one_file(tmp_path: Path) -> None:
    def interrupt(event: StudyEvent) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 3:
            raise KeyboardInterrupt

    for name, on_event in (("ended", lambda event: None), ("interrupted", interrupt)):
        with suppress(KeyboardInterrupt):
            small_study.train(tmp_path / name, GRID, on_event=on_event)
        assert not list((tmp_path / name).glob(f"{FILE_NAME}-*"))
        (tmp_path / f"{name}-copy").mkdir()
        shutil.copyfile(tmp_path / name / FILE_NAME, tmp_path / f"{name}-copy" / FILE_NAME)
        assert small_study.numbers(tmp_path / f"{name}-copy") == small_study.numbers(tmp_path / name) != {}
