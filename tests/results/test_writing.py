"""Who writes to a store and when it reaches the disk: one writer, transactions, full disks, what is taken away."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_study
from run_material import HERE, RUN, RUNS, ended

from asymbp_cli.errors import StoreError
from asymbp_cli.results.store import Store


def test_events_reach_the_disk_within_a_second(begun: Store) -> None:
    with Store.open(begun.directory, create=False) as reader:
        begun.record(ended())
        small_study.wait_for(lambda: reader.epochs_stored([RUN.id])[RUN.id] == 1, seconds=10)


def test_events_are_not_committed_one_by_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asymbp_cli.results.journal._FLUSH_SECONDS", 3600.0)
    with Store.open(store.directory, create=False) as reader, store.writing():
        store.save_dataset(small_study.INFO)
        store.begin(RUNS, 0, HERE)
        for epoch in range(1, 101):
            store.record(ended(epoch=epoch))
        assert reader.epochs_stored([RUN.id])[RUN.id] == 0
        store.flush()
        assert reader.epochs_stored([RUN.id])[RUN.id] == 100


def test_readers_do_not_wait_for_a_transaction(begun: Store) -> None:
    begun._connection.execute("BEGIN IMMEDIATE")
    with Store.open(begun.directory, create=False) as reader:
        assert len(reader.runs()) == len(RUNS)
    begun._connection.execute("ROLLBACK")


def test_what_is_read_together_is_of_one_moment(store: Store) -> None:
    def count(connection: sqlite3.Connection) -> int:
        return len(connection.execute("SELECT id FROM runs").fetchall())

    def read(connection: sqlite3.Connection) -> tuple[int, int]:
        first = count(connection)
        small_study.train(store.directory, small_study.grid("SGD"))
        return first, count(connection)

    assert store._journal.read_together(read) == (0, 0)
    assert store._journal.read_together(count) == len(RUNS)


def test_what_was_recorded_is_stored_when_an_error_ends_the_writing(store: Store) -> None:
    def write_and_break() -> None:
        with store.writing():
            store.save_dataset(small_study.INFO)
            store.begin(RUNS, 0, HERE)
            store.record(ended(epoch=1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_break()
    with Store.open(store.directory, create=False) as reader:
        assert reader.epochs_stored([RUN.id]) == {RUN.id: 1}


def test_writing_needs_the_lock(store: Store) -> None:
    with pytest.raises(RuntimeError, match=r"store\.writing"):
        store.save_dataset(small_study.INFO)


# one writer ---------------------------------------------------------------------------------------------------
_HOLD = """
import sys, time
from pathlib import Path
from asymbp_cli.results.store import Store
with Store.open(Path(sys.argv[1])) as store, store.writing():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes to the results directory."""
    command = [sys.executable, "-c", _HOLD, str(tmp_path / "results")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_is_told_who_writes(holder: subprocess.Popen[str], store: Store) -> None:
    expected = rf"another asymbp \(pid {holder.pid}\) is writing to .*/results/\. Wait for it"
    with pytest.raises(StoreError, match=expected), store.writing():
        pass
    assert store.runs() == []  # reading goes on


def test_a_killed_writer_holds_nothing(holder: subprocess.Popen[str], store: Store) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with store.writing():
        pass


def test_a_full_disk_stops_the_study_and_loses_nothing_that_was_stored(begun: Store) -> None:
    begun.record(ended(epoch=1))
    begun.flush()
    pages = begun._connection.execute("PRAGMA page_count").fetchone()[0]
    begun._connection.execute(f"PRAGMA max_page_count = {pages}")
    for epoch in range(2, 1000):
        begun.record(ended(epoch=epoch))
    with pytest.raises(StoreError, match=r"no space left for .*asymbp\.sqlite\. Free some"):
        begun.flush()
    with Store.open(begun.directory, create=False) as reader:
        assert reader.epochs_stored([RUN.id]) == {RUN.id: 1}
    begun._connection.execute("PRAGMA max_page_count = 100000")
    assert begun.epochs_stored([RUN.id]) == {RUN.id: 999}  # there is space again


def test_a_disk_found_full_by_the_flushing_thread_is_reported(
    begun: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(begun._journal, "_write", full)
        small_study.wait_for(lambda: begun._journal._failure, seconds=5)
    with pytest.raises(StoreError, match="no space left"):
        begun.record(ended())


@pytest.mark.parametrize("how", ["deleted", "replaced", "moved"])
def test_results_that_go_while_they_are_written_are_missed_at_once(how: str, store: Store) -> None:
    path = store.directory / "asymbp.sqlite"

    def write() -> None:
        with store.writing():
            store.save_dataset(small_study.INFO)
            store.begin(RUNS, 0, HERE)
            if how == "deleted":
                path.unlink()
            elif how == "replaced":
                os.replace(shutil.copy(path, store.directory / "copy"), path)
            else:
                store.directory.rename(store.directory.with_name("elsewhere"))
            store.record(ended())
            store.flush()

    with pytest.raises(StoreError, match=r"asymbp\.sqlite was deleted or replaced while asymbp was writing to it"):
        write()
