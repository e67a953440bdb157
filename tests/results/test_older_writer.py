"""An older asymbp writes results that this one reads: they are not migrated under it, and stay whole."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner

from asymbp_cli.cli.app import cli
from asymbp_cli.errors import StoreError
from asymbp_cli.files.locks import hold_writer_lock
from asymbp_cli.results import checksums
from asymbp_cli.results.check import check_results
from asymbp_cli.results.migrations import MIGRATIONS, read_version
from asymbp_cli.results.store import FILE_NAME, Store

GRID = small_study.grid("SGD", "uSF", multipliers=(1.0,))
RUN, OTHER = sorted(GRID.all_runs())


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return results as version 3 of the schema left them, of which a run lacks its last two epochs."""
    small_study.train(tmp_path / "results", GRID)
    small_study.change(
        tmp_path / "results",
        *small_study.TO_VERSION_3,
        "CREATE TABLE later AS SELECT * FROM epochs WHERE epoch > 2",
        "DELETE FROM epochs WHERE epoch > 2",
        "UPDATE runs SET state = NULL",
    )
    return tmp_path / "results"


def version(directory: Path) -> int:
    with closing(sqlite3.connect(directory / FILE_NAME)) as connection:
        return read_version(connection)


def write_as_the_older_one(directory: Path) -> None:
    finish = "UPDATE runs SET state = 'finished'"
    small_study.change(directory, "INSERT INTO epochs SELECT * FROM later", "DROP TABLE later", finish)


@pytest.mark.parametrize(
    "command", ["report", "ls runs", f"show {RUN}", "store export out.jsonl.xz", "reproduce --table 2 --dry-run"]
)
def test_reading_while_an_older_asymbp_writes_leaves_its_results_whole(
    command: str, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(results.parent)
    with hold_writer_lock(results):
        before = sorted(path.name for path in results.iterdir())
        done = CliRunner().invoke(cli, command.split(), catch_exceptions=False)
        assert done.exit_code in (0, 1)  # 1: runs are missing
        assert version(results) == 3
        assert sorted(path.name for path in results.iterdir()) == before
        write_as_the_older_one(results)
    with Store.open(results) as store:
        assert [summary.epochs for summary in store.runs()] == [4, 4]
    assert version(results) == len(MIGRATIONS)
    assert check_results(results).problems == ()


def test_a_reader_sees_what_the_older_one_has_written(results: Path) -> None:
    with hold_writer_lock(results):
        for epochs in (2, 4):
            with Store.open(results) as store:
                assert [summary.epochs for summary in store.runs()] == [epochs, epochs]
            if epochs == 2:
                write_as_the_older_one(results)


def test_a_writer_says_that_another_process_writes(results: Path) -> None:
    with hold_writer_lock(results):
        with pytest.raises(StoreError, match=r"another asymbp \(pid \d+\) is writing to"):
            small_study.train(results, GRID)
        assert version(results) == 3


def test_what_was_opened_as_a_copy_is_not_written(results: Path) -> None:
    """The older one ends before this one begins to write."""
    with hold_writer_lock(results):
        store = Store.open(results)
    with (
        store,
        pytest.raises(StoreError, match=r"could not be changed when it was opened.* Run the same command"),
        store.writing(),
    ):
        pytest.fail("what is written here would be lost")
    write_as_the_older_one(results)
    assert small_study.train(results, GRID).finished == ()
    assert check_results(results).problems == ()


def test_migrating_holds_the_lock(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take = checksums.take
    tried: list[str] = []

    def try_to_write(connection: sqlite3.Connection) -> None:
        with pytest.raises(StoreError, match="is writing to"), hold_writer_lock(results):
            pass
        tried.append("to write")
        take(connection)

    monkeypatch.setattr(checksums, "take", try_to_write)
    Store.open(results).close()
    assert set(tried) == {"to write"}
    with hold_writer_lock(results):  # nobody holds it any more
        assert version(results) == len(MIGRATIONS)


def test_older_results_on_a_read_only_medium_are_read(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (results / ".lock").unlink()
    before = {path: path.read_bytes() for path in results.iterdir() if path.is_file()}
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with Store.open(results, create=False) as store:
        assert [summary.epochs for summary in store.runs()] == [2, 2]
    assert {path: path.read_bytes() for path in results.iterdir() if path.is_file()} == before
