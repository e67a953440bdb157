"""What can be wrong with the database or its directory, what is then said, and how old ones are brought up."""

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner

from asymbp_cli.cli.app import cli
from asymbp_cli.errors import StoreError
from asymbp_cli.results import database, migrations
from asymbp_cli.results.store import FILE_NAME, Store

NOW = len(migrations.MIGRATIONS)  # version of the schema
TABLES = {*migrations.TABLES, "checksums"}


def test_nothing_is_made_where_results_are_only_read(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there are no results in .*none/\. Train something first"):
        Store.open(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


def test_a_name_that_looks_like_an_address_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite may read `file:x?mode=ro` otherwise."""
    monkeypatch.chdir(tmp_path)
    results = Path("file:x?mode=ro")
    small_study.train(results, small_study.grid("SGD"))
    assert len(small_study.numbers(results)) == 2
    assert list(tmp_path.iterdir()) == [tmp_path / results]


def test_a_file_in_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    for create in (True, False):
        with pytest.raises(StoreError, match=r"results is a file, not a directory\. .*--results DIR"):
            Store.open(tmp_path / "results", create=create)
    with pytest.raises(StoreError, match=r"cannot make the directory .*: Not a directory"):
        Store.open(tmp_path / "results" / "inner")


def test_a_directory_in_place_of_the_database(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(StoreError, match=r"cannot read and write .*unable to open"):
        Store.open(tmp_path)


def test_a_database_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor copied: more space would be of no use."""

    def fail(*paths: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(StoreError, match=r"Permission denied\. Check its permissions, or use another directory"):
        database._copy_with_log(tmp_path / FILE_NAME)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store, store.writing():
        store.save_grid(small_study.grid())
    tmp_path.chmod(0o500)
    with Store.open(tmp_path, create=False) as store:
        assert len(store.grids()) == 1
        with pytest.raises(StoreError, match="cannot write"), store.writing():
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


COMMANDS = (
    ["report"],
    ["ls", "runs"],
    ["show", "3f"],
    ["store", "export", "out.jsonl.xz"],
    ["store", "merge", "results", "--results", "elsewhere"],
    ["compare", "results", "results"],
    ["reproduce", "--table", "2"],
)


def contents_of(directory: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in directory.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("how", "command"),
    [
        *(("emptied", command) for command in COMMANDS),
        *(("deleted", command) for command in COMMANDS if command[0] != "compare"),  # takes it for a protocol
    ],
)
def test_a_lost_database_is_said_and_its_log_kept(
    how: str, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = fill(tmp_path / "results")
    path.with_name(f"{FILE_NAME}-wal").write_bytes(b"the latest results")
    if how == "emptied":
        os.truncate(path, 0)
    else:
        path.unlink()
    before = contents_of(tmp_path / "results")
    with pytest.raises(StoreError, match=r"sqlite is (empty|missing, but .*): its content was lost\. Move "):
        CliRunner().invoke(cli, command, catch_exceptions=False)
    assert contents_of(tmp_path / "results") == before


def test_a_process_that_ends_while_it_makes_the_database_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("asymbp_cli.results.database.migrate", stop)
        with pytest.raises(KeyboardInterrupt):
            Store.open(tmp_path)
    assert not list(tmp_path.iterdir())
    Store.open(tmp_path).close()


def test_what_a_process_left_that_was_killed_while_it_made_the_database_goes(tmp_path: Path) -> None:
    dies = (
        "from asymbp_cli.results import database; import os; database.os.link = lambda *_: os.kill(os.getpid(), 9)"
    )
    code = f"{dies}; database.connect(database.Path({str(tmp_path / FILE_NAME)!r}))"
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    left, young = sorted(tmp_path.iterdir())
    assert left.name.startswith(f".{FILE_NAME}.")
    journal = left.with_name(f"{left.name}-journal")
    journal.touch()
    for old in (left, journal):
        os.utime(old, (0, 0))
    with Store.open(tmp_path):
        assert set(tmp_path.glob(".asymbp*")) == {young}  # somebody may be at it


@pytest.mark.parametrize("links", [True, False])
def test_a_database_is_made_next_to_its_place(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    fill(tmp_path)
    assert read(tmp_path / FILE_NAME)[0] == NOW
    assert not list(tmp_path.glob(".asymbp*"))


def test_of_two_processes_that_make_the_database_the_first_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has found none, and is slower."""
    lexists = os.path.lexists
    fill(tmp_path)
    monkeypatch.setattr(os.path, "lexists", lambda path: path != tmp_path / FILE_NAME and lexists(path))
    with Store.open(tmp_path) as store:
        assert len(store.grids()) == 1


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"something else altogether" * 100)
    with pytest.raises(StoreError, match=r"is damaged .*Move it away"):
        Store.open(tmp_path)


def test_a_database_damaged_inside(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store, store.writing():
        store.save_grid(small_study.grid())
    path = tmp_path / FILE_NAME
    content = bytearray(path.read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"is damaged .*Move it away"), Store.open(tmp_path) as store:
        store.grids()


def test_a_damaged_schema(tmp_path: Path) -> None:
    """SQLite quotes it in its message, which is no text then."""
    path = fill(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"PRIMARY KEY", b"PRIMARY \xcbEY"))
    with pytest.raises(StoreError, match=r"is damaged \(malformed schema\)\. Move it away"):
        Store.open(tmp_path)


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


def fill(directory: Path) -> Path:
    """Store a grid in `directory`; return the database."""
    with Store.open(directory) as store, store.writing():
        store.save_grid(small_study.grid())
    return directory / FILE_NAME


def read(path: Path) -> tuple[int, set[str], list[str]]:
    """Return version, tables and the keys of the grids in a database, which is not changed."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        version = migrations.read_version(connection)
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return version, tables, [key for (key,) in connection.execute("SELECT key FROM grids")]


def half_done(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE half_done (x)")
    connection.execute("DELETE FROM grids")


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
import test_database
from asymbp_cli.results import database, migrations
from asymbp_cli.results.store import Store

def die(connection):
    os.kill(os.getpid(), signal.SIGKILL)

database.MIGRATIONS = migrations.MIGRATIONS = (*migrations.MIGRATIONS, test_database.half_done, die)
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
