"""`asymbp store check --drop`: what is damaged goes, the rest stays, and everything as it was is kept."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner
from foreign_results import merge

from asymbp_cli.cli.app import cli
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.errors import StoreError, StudyInterrupted
from asymbp_cli.events import EpochEnded
from asymbp_cli.executors import StudyEvent
from asymbp_cli.results import drop
from asymbp_cli.results.check import check_results
from asymbp_cli.results.drop import Dropped, drop_damage
from asymbp_cli.results.source import read_directory
from asymbp_cli.results.store import FILE_NAME, Store
from asymbp_cli.training import resume

GRID = small_study.grid("SGD", "uSF", multipliers=(1.0,))
RUN, OTHER = sorted(GRID.all_runs())
CHANGED = f"UPDATE epochs SET test_wrong = test_wrong + 1 WHERE run = '{RUN}' AND epoch = 2"
DIGITS = small_study.INFO
MORE = DIGITS.model_copy(update={"fingerprint": "e" * 64, "label": "more digits", "key": "more"})


@pytest.fixture
def results(tmp_path: Path) -> Path:
    small_study.train(tmp_path / "results", GRID)
    return tmp_path / "results"


def count(dropped: Dropped) -> tuple[int, int, int]:
    """Return the numbers of runs, tables and datasets that were deleted."""
    return len(dropped.runs), len(dropped.tables), len(dropped.datasets)


def kept_of(directory: Path) -> Path:
    return directory / f"{FILE_NAME}.damaged"


def read_all(path: Path) -> list[list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        tables = ("datasets", "grids", "runs", "attempts", "epochs", "checksums")
        return [connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]


def test_a_damaged_run_is_deleted_trained_anew_and_kept_as_it_was(results: Path) -> None:
    before = small_study.numbers(results)
    small_study.change(results, CHANGED)
    content = read_all(results / FILE_NAME)
    for run in (RUN, OTHER):
        (results / "checkpoints" / f"{run}.safetensors").touch()
    done = CliRunner().invoke(cli, ["store", "check", "--drop", "--results", str(results)], standalone_mode=False)
    assert (done.return_value, done.stdout) == (0, f"the run {RUN} is not as it was written\n")
    assert "is whole again. Deleted: 1 run. Everything as it was is in" in done.stderr
    assert read_all(kept_of(results)) == content
    assert [path.stem for path in small_study.checkpoints(results)] == [OTHER]
    assert check_results(results).problems == ()
    assert small_study.numbers(results) == {OTHER: before[OTHER]}
    assert small_study.train(results, GRID).finished == (RUN,)
    assert small_study.numbers(results) == before


def test_a_whole_copy_brings_back_what_was_deleted(results: Path, tmp_path: Path) -> None:
    small_study.train(tmp_path / "copy", GRID)
    before = small_study.numbers(tmp_path / "copy")
    small_study.change(results, CHANGED)
    drop_damage(results)
    with Store.open(results) as store:
        (merged,) = merge([read_directory(tmp_path / "copy")], store)
    assert (merged.new, merged.different) == ((RUN,), ())
    assert small_study.numbers(results) == before


def damage_info(directory: Path, info: DecodedDataset) -> None:
    where = f"WHERE fingerprint = '{info.fingerprint}'"
    small_study.change(directory, f"UPDATE datasets SET info = replace(info, 'igits', 'igitz') {where}")


def test_a_dataset_goes_with_its_runs_and_a_table_without_them(results: Path) -> None:
    rows = (small_study.row(MORE.fingerprint, "more digits"),)
    more = small_study.grid("BM", multipliers=(1.0,), rows=rows, key="table-3")
    small_study.train(results, more, infos={MORE.fingerprint: MORE})
    before = small_study.numbers(results)
    damage_info(results, MORE)
    small_study.change(results, "UPDATE grids SET command = 'x' WHERE key = 'table-2'")
    dropped = drop_damage(results)
    assert count(dropped) == (2, 1, 1)  # one is the baseline
    assert check_results(results).problems == ()
    assert small_study.numbers(results) == {run: before[run] for run in (RUN, OTHER)}
    small_study.train(results, GRID, more, infos={**small_study.INFOS, MORE.fingerprint: MORE})
    assert small_study.numbers(results) == before


def test_damage_that_is_older_than_the_checksums_is_deleted_too(results: Path) -> None:
    small_study.change(
        results,
        f"UPDATE runs SET state = 'dead' WHERE id = '{RUN}'",
        f"INSERT INTO epochs SELECT 'unknown', {'epoch, rate, train_loss, train_wrong, train_seen, '}"
        "test_loss, test_wrong, test_seen, validation_wrong, validation_seen, one_class, diverged, seconds, "
        f"validation_loss, measures FROM epochs WHERE run = '{RUN}'",
        take_checksums=True,
    )
    assert drop_damage(results).runs == {RUN, "unknown"}
    assert check_results(results).problems == ()
    assert small_study.numbers(results).keys() == {OTHER}


def test_what_is_whole_stays_as_it_is(results: Path) -> None:
    before = (results / FILE_NAME).read_bytes()
    done = CliRunner().invoke(cli, ["store", "check", "--drop", "--results", str(results)])
    assert done.stdout == f"{results}/: nothing is damaged, nothing is deleted\n{results}/: ok, 2 runs, 8 epochs\n"
    assert drop_damage(results) == Dropped()
    assert (results / FILE_NAME).read_bytes() == before
    assert not kept_of(results).exists()


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (
            ["UPDATE epochs SET test_wrong = test_wrong + 1"],
            "deleting cannot mend. Put back a copy of it, or move",
        ),
        (["UPDATE runs SET spec = json_set(spec, '$.future', 1)", CHANGED], "only a newer asymbp knows"),
    ],
)
def test_nothing_is_changed_if_deleting_is_no_help(statements: list[str], said: str, results: Path) -> None:
    small_study.change(results, *statements)
    before = (results / FILE_NAME).read_bytes()
    with pytest.raises(StoreError, match=said):
        drop_damage(results)
    assert (results / FILE_NAME).read_bytes() == before
    assert not kept_of(results).exists()


def test_what_was_kept_before_is_not_overwritten(results: Path) -> None:
    small_study.change(results, CHANGED)
    kept_of(results).write_bytes(b"from before")
    with pytest.raises(StoreError, match=r"sqlite\.damaged is there from an earlier time\. Move it away"):
        drop_damage(results)
    assert kept_of(results).read_bytes() == b"from before"


def test_after_a_kill_between_the_copy_and_the_deletion_the_same_command_goes_on(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Stands for SIGKILL."""

    def die(*_: object) -> None:
        raise Killed

    small_study.change(results, CHANGED)
    before = read_all(results / FILE_NAME)
    write_whole = drop._write_whole
    monkeypatch.setattr(drop, "_write_whole", lambda *given: (write_whole(*given), die()))
    with pytest.raises(Killed):
        drop_damage(results)
    monkeypatch.undo()
    assert read_all(kept_of(results)) == before
    assert count(drop_damage(results)) == (1, 0, 0)
    assert read_all(kept_of(results)) == before
    assert check_results(results).problems == ()


def interrupt(event: StudyEvent) -> None:
    if isinstance(event, EpochEnded) and event.epoch == 3:
        raise KeyboardInterrupt


@pytest.mark.parametrize("lost", [CHANGED, f"DELETE FROM runs WHERE id = '{RUN}'"])
def test_after_an_interrupted_run_is_deleted_nothing_is_wrong(lost: str, tmp_path: Path) -> None:
    """It had a checkpoint. Of a run without its own row, epochs and attempts are left."""
    results = tmp_path / "interrupted"
    with pytest.raises(StudyInterrupted):
        small_study.train(results, GRID, checkpoint_seconds=0.0, on_event=interrupt)
    saved = resume.all_saved_epochs(results / "checkpoints")
    assert RUN in saved
    small_study.change(results, lost)
    check = ["store", "check", "--results", str(results)]
    assert CliRunner().invoke(cli, check, standalone_mode=False).return_value == 1
    dropped = CliRunner().invoke(cli, [*check, "--drop"], standalone_mode=False, catch_exceptions=False)
    assert dropped.return_value == 0
    found = CliRunner().invoke(cli, check, standalone_mode=False)
    assert (found.return_value, found.stderr) == (0, ""), found.stdout
    assert RUN not in resume.all_saved_epochs(results / "checkpoints")
    small_study.train(results, GRID)
    small_study.train(tmp_path / "whole", GRID)
    assert small_study.numbers(results) == small_study.numbers(tmp_path / "whole")


def test_if_the_rest_cannot_be_written_no_copy_is_in_the_way(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_study.change(results, CHANGED)
    before = (results / FILE_NAME).read_bytes()
    write = drop._write

    def fail(content: sqlite3.Connection, path: Path) -> None:
        if path == results / FILE_NAME:
            raise sqlite3.OperationalError("database is locked")
        write(content, path)

    with monkeypatch.context() as patch:
        patch.setattr(drop, "_write", fail)
        with pytest.raises(StoreError, match="is locked by another program"):
            drop_damage(results)
    assert (results / FILE_NAME).read_bytes() == before
    assert not kept_of(results).exists()
    assert drop_damage(results).runs == {RUN}


def test_nothing_is_deleted_while_a_study_writes(results: Path) -> None:
    with Store.open(results) as store, store.writing():
        small_study.change(results, CHANGED)
        with pytest.raises(StoreError, match="is writing to"):
            drop_damage(results)


def test_pages_and_indices_are_written_anew(results: Path) -> None:
    """All rows are whole, and an index has a row that its table has not."""
    with closing(sqlite3.connect(results / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("CREATE INDEX more ON runs (created)")
        connection.execute(
            "UPDATE sqlite_master SET sql = 'CREATE INDEX more ON runs (updated)' WHERE name = 'more'"
        )
    with Store.open(results) as store, pytest.raises(StoreError, match=r"is damaged: .*index more"):
        store.runs()
    dropped = drop_damage(results)
    assert count(dropped) == (0, 0, 0)
    assert check_results(results).problems == ()
    assert len(small_study.numbers(results)) == 2


def test_while_another_program_locks_the_database_nothing_is_deleted(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's `backup` would try for ever."""
    small_study.change(results, CHANGED)
    monkeypatch.setattr(drop, "LONGEST_SECONDS", 0.1)
    with closing(sqlite3.connect(results / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is locked by another program"):
            drop_damage(results)
    assert not kept_of(results).exists()
    assert drop_damage(results).runs == {RUN}


def test_a_kill_leaves_no_half_of_the_copy(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_study.change(results, CHANGED)
    write = drop._write

    def die(content: sqlite3.Connection, path: Path) -> None:
        write(content, path)
        raise KeyboardInterrupt  # as a kill, at the latest moment

    with monkeypatch.context() as patch:
        patch.setattr(drop, "_write", die)
        with pytest.raises(KeyboardInterrupt):
            drop_damage(results)
    assert not kept_of(results).exists()
    assert drop_damage(results).runs == {RUN}
