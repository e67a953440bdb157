"""What can be wrong with the database or its directory, what is then said, and how old ones are brought up."""

import os
import sqlite3
from pathlib import Path

import pytest
import small_study

from asymbp_cli.errors import StoreError
from asymbp_cli.results import migrations
from asymbp_cli.results.store import FILE_NAME, Store


def test_nothing_is_made_where_results_are_only_read(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there are no results in .*none/; train something first"):
        Store.open(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


def test_a_file_in_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    for create in (True, False):
        with pytest.raises(StoreError, match=r"results is a file, not a directory; .*--results DIR"):
            Store.open(tmp_path / "results", create=create)
    with pytest.raises(StoreError, match=r"cannot make the directory .*: Not a directory"):
        Store.open(tmp_path / "results" / "inner")


def test_a_directory_in_place_of_the_database(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(StoreError, match=r"cannot read and write .*unable to open"):
        Store.open(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store, store.writing():
        store.save_grid(small_study.grid())
    tmp_path.chmod(0o500)
    with Store.open(tmp_path, create=False) as store:
        assert len(store.grids()) == 1
        with pytest.raises(StoreError, match="cannot write in"), store.writing():
            pass
    tmp_path.chmod(0o700)


def test_results_on_a_read_only_medium_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(tmp_path) as store, store.writing():
        store.save_grid(small_study.grid())
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    before = sorted(path.name for path in tmp_path.iterdir())
    with Store.open(tmp_path, create=False) as store:
        assert len(store.grids()) == 1
        assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"something else altogether" * 100)
    with pytest.raises(StoreError, match=r"is damaged .*move it away"):
        Store.open(tmp_path)


def test_a_database_damaged_inside(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store, store.writing():
        store.save_grid(small_study.grid())
    path = tmp_path / FILE_NAME
    content = bytearray(path.read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"is damaged .*move it away"), Store.open(tmp_path) as store:
        store.grids()


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    content = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(StoreError, match=r"written by a newer asymbp .*99.*upgrade"):
        Store.open(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == content


def test_a_step_that_fails_leaves_the_version_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def second(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE half_done (x)")
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, second))
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with pytest.raises(sqlite3.OperationalError):
        migrations.migrate(connection)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert migrations.version(connection) == 1
    assert tables == {"datasets", "grids", "runs", "attempts", "epochs"}
    connection.close()


def test_an_older_database_is_brought_up_to_date_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store.open(tmp_path).close()
    calls = []
    steps = (*migrations.MIGRATIONS, calls.append)
    for module in ("migrations", "database"):
        monkeypatch.setattr(f"asymbp_cli.results.{module}.MIGRATIONS", steps)
    for _ in range(2):
        Store.open(tmp_path).close()
    assert len(calls) == 1
    monkeypatch.setattr("asymbp_cli.results.database.MIGRATIONS", steps[:1])
    with pytest.raises(StoreError, match=r"version 2 .* this one knows 1"):
        Store.open(tmp_path)
