"""Databases of other versions: brought up to date once, whole or not at all."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import small_study
from database_files import NOW, TABLES, fill, half_done, read

from asymbp_cli.errors import StoreError
from asymbp_cli.results import migrations
from asymbp_cli.results.store import FILE_NAME, Store


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    content = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(StoreError, match=r"written by a newer asymbp .*99.*Upgrade"):
        Store.open(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == content


def add_steps(monkeypatch: pytest.MonkeyPatch, *steps: migrations.Migration) -> None:
    """Let this process know further versions of the schema."""
    versions = (*migrations.MIGRATIONS, *steps)
    for module in ("migrations", "database"):
        monkeypatch.setattr(f"asymbp_cli.results.{module}.MIGRATIONS", versions)


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fill(tmp_path)
    before = read(path)

    def fail(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as newer:
        add_steps(newer, half_done, fail)
        with pytest.raises(StoreError, match="disk I/O error"):
            Store.open(tmp_path)
    assert read(path) == read(backup(path)) == before == (NOW, TABLES, ["table-2"])
    with Store.open(tmp_path) as store:
        assert len(store.grids()) == 1


_KILLED = """
import os, signal, sys
from pathlib import Path
import database_files
from asymbp_cli.results import database, migrations
from asymbp_cli.results.store import Store

def die(connection):
    os.kill(os.getpid(), signal.SIGKILL)

database.MIGRATIONS = migrations.MIGRATIONS = (*migrations.MIGRATIONS, database_files.half_done, die)
Store.open(Path(sys.argv[1]))
"""


def test_a_migration_that_is_killed_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fill(tmp_path)
    before = read(path)
    tests = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path)], env=os.environ | {"PYTHONPATH": tests}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert read(path) == read(backup(path)) == before
    Store.open(tmp_path).close()  # a command of the older version
    assert read(backup(path)) == before
    with monkeypatch.context() as newer:  # the next command of the newer version
        add_steps(newer, half_done, lambda connection: None)
        Store.open(tmp_path).close()
    assert read(path) == (NOW + 2, {*TABLES, "half_done"}, [])
    assert not list(tmp_path.glob("*before-version*"))


def test_a_copy_that_cannot_be_written_is_said_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fill(tmp_path)
    before = read(path)
    for blocked in (backup(path), backup(path).with_name(f"{backup(path).name}.part")):
        blocked.mkdir()
        with monkeypatch.context() as newer:
            add_steps(newer, half_done, lambda connection: None)
            with pytest.raises(StoreError, match=rf"cannot write .*before-version-{NOW + 2}.* Remove what is in"):
                Store.open(tmp_path)
        assert read(path) == before
        blocked.rmdir()
    assert not list(tmp_path.glob("*before-version*"))


def backup(path: Path) -> Path:
    """Return the copy that a migration by two versions keeps."""
    return path.with_name(f"{path.name}.before-version-{NOW + 2}")


def test_an_older_database_is_brought_up_to_date_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fill(tmp_path)
    backups = []

    def second(connection: sqlite3.Connection) -> None:
        backups.append(read(migrations.backup_path(path)))

    with monkeypatch.context() as newer:
        add_steps(newer, second)
        for _ in range(2):
            Store.open(tmp_path).close()
    assert backups == [(NOW, TABLES, ["table-2"])]
    assert not list(tmp_path.glob("*before-version*"))
    with pytest.raises(StoreError, match=rf"version {NOW + 1} .* this one knows {NOW}"):
        Store.open(tmp_path)


def test_epochs_stored_without_a_validation_loss_are_kept_and_selected_as_before(tmp_path: Path) -> None:
    run = next(iter(small_study.grid("SGD").all_runs().values()))
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as connection:
        migrations.apply_steps(connection, 0, 2)
        info = (small_study.INFO.fingerprint, small_study.INFO.model_dump_json())
        connection.execute("INSERT INTO datasets VALUES (?, ?)", info)
        connection.execute(
            "INSERT INTO runs VALUES (?, ?, ?, NULL, 0, 0)", (run.id, run.model_dump_json(), info[0])
        )
        sql = "INSERT INTO epochs VALUES (?, ?, 0.1, 0.1, 7, 1295, 0.2, ?, 360, ?, 142, 0, 0, 1.5)"
        connection.executemany(sql, [(run.id, 1, 9, 4), (run.id, 2, 8, 3), (run.id, 3, 7, 3)])
    with Store.open(tmp_path) as store:
        epochs = store.epochs([run.id])[run.id]
        assert [(e.epoch, e.test_wrong, e.validation_wrong, e.seconds) for e in epochs] == [
            (1, 9, 4, 1.5),
            (2, 8, 3, 1.5),
            (3, 7, 3, 1.5),
        ]
        assert [e.validation_loss for e in epochs] == [None] * 3
        assert store.run(run.id).summary.best == (8, 360, 2)


def test_a_new_database_needs_no_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def second(connection: sqlite3.Connection) -> None:
        assert list(tmp_path.glob("*migration*")) == []

    add_steps(monkeypatch, second)
    Store.open(tmp_path).close()
    assert read(tmp_path / FILE_NAME)[0] == NOW + 1


def test_an_older_database_that_cannot_be_changed_is_read_in_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fill(tmp_path)
    add_steps(monkeypatch, lambda connection: None)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with Store.open(tmp_path, create=False) as store:
        assert len(store.grids()) == 1
        with pytest.raises(StoreError, match=r"could not be changed when it was opened"), store.writing():
            pytest.fail("what is written here would be lost")
    assert read(path)[0] == NOW
