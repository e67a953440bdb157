"""What others do to the database while a study writes to it ends the study, and destroys no more than it has."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import small_study

from asymbp_cli.errors import StoreError
from asymbp_cli.results.guard import Guard
from asymbp_cli.results.store import FILE_NAME, Store


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A database with a few results, to which more will be written."""
    small_study.train(tmp_path / "own", small_study.grid("BM"))
    return tmp_path / "own" / FILE_NAME


@pytest.fixture
def writing(own: Path) -> Iterator[Store]:
    with Store.open(own.parent) as store:
        yield store


def write_while(store: Store, act: Callable[[], object]) -> None:
    """Write, let something happen, and write again."""
    with store.writing():
        store.save_grid(small_study.grid("uSF"))
        act()
        store.save_grid(small_study.grid("NuSF"))


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def kept_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal.kept")


def change_a_count(path: Path) -> None:
    """Change a number in a database, which keeps its size."""
    small_study.change(
        path.parent, "UPDATE epochs SET test_wrong = 1 - min(test_wrong, 1) WHERE epoch = 1", take_checksums=True
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize("how", ["emptied", "cut", "other results", "an older copy of it"])
def test_a_file_changed_in_place_ends_the_writing_and_is_left_alone(
    how: str, own: Path, writing: Store, tmp_path: Path
) -> None:
    older = shutil.copyfile(own, tmp_path / "older").read_bytes()
    change_a_count(own)
    small_study.train(tmp_path / "other", small_study.grid("SGD"))
    other = (tmp_path / "other" / FILE_NAME).read_bytes()
    now = own.read_bytes()
    content = {"emptied": b"", "cut": now[:-4096], "other results": other, "an older copy of it": older}[how]
    assert content != now
    assert len(older) == len(now)

    def overwrite() -> None:
        assert log_of(own).stat().st_size > 0
        own.write_bytes(content)

    with pytest.raises(StoreError, match=r"was overwritten or truncated .* is in asymbp\.sqlite-wal\.kept"):
        write_while(writing, overwrite)
    writing.close()
    assert own.read_bytes() == content  # nothing of the log was written into it
    assert kept_of(own).stat().st_size > 0


def test_a_file_that_is_only_touched_is_fine(own: Path, writing: Store) -> None:
    write_while(writing, lambda: os.utime(own, ns=(0, 0)))
    assert len(writing.grids()) == 3
    assert not kept_of(own).exists()


def test_what_another_process_wrote_before_counts(own: Path, writing: Store) -> None:
    """This process opened the file first, and writes after the other has finished."""
    small_study.train(own.parent, small_study.grid("RndF"))
    writing._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    write_while(writing, lambda: None)
    assert len(writing.grids()) == 4


def test_readers_do_not_disturb(own: Path, writing: Store) -> None:
    def read() -> None:
        with Store.open(own.parent, create=False) as reader:
            assert reader.runs()

    write_while(writing, read)


def test_the_guard_does_not_release_the_locks_of_sqlite(own: Path, writing: Store) -> None:
    """Without them another process that reads would delete the log when it ends."""
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM runs').fetchall()"

    def read_elsewhere() -> None:
        guard = Guard(own)
        guard.start()
        guard.check()
        subprocess.run([sys.executable, "-c", code, str(own)], check=True)
        assert log_of(own).stat().st_size > 0

    write_while(writing, read_elsewhere)


def test_a_log_that_goes_into_the_file_is_no_foreign_change(own: Path, writing: Store) -> None:
    writing._connection.execute("PRAGMA wal_autocheckpoint = 1")
    before = own.stat().st_mtime_ns
    for _ in range(3):
        write_while(writing, lambda: None)
    assert own.stat().st_mtime_ns != before


def test_a_file_is_read_only_if_its_times_have_changed(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard(own)
    guard.start()
    monkeypatch.setattr("asymbp_cli.results.guard._read_checksum", lambda path: pytest.fail("read"))
    guard.check()
    guard.remember()
