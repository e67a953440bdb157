"""What can be wrong with the database or its directory, what is then said, and how old ones are brought up."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner
from database_files import NOW, contents_of, fill, read

from asymbp_cli.cli.app import cli
from asymbp_cli.errors import StoreError
from asymbp_cli.results import database
from asymbp_cli.results.store import FILE_NAME, Store


def test_nothing_is_made_where_results_are_only_read(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there are no results in .*none/\. Train something first"):
        Store.open(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


def test_who_names_the_directory_around_the_results_is_told(tmp_path: Path) -> None:
    small_study.train(tmp_path / "results", small_study.grid("SGD"))
    with pytest.raises(StoreError, match=r"no results in .*/\. There are some in .*/results/: name that"):
        Store.open(tmp_path, create=False)


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


def test_a_directory_that_may_not_be_looked_into_is_not_called_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = Path.stat

    def refuse(path: Path, **options: bool) -> os.stat_result:
        if path.parent == tmp_path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    said = re.escape(
        f"cannot read {tmp_path}/: Permission denied. Check its permissions, or name another directory"
    )
    with pytest.raises(StoreError, match=said):
        Store.open(tmp_path, create=False)
    for names in ((str(tmp_path), "quick"), (f"{tmp_path}:quick", "quick")):
        with pytest.raises(StoreError, match=said):
            CliRunner().invoke(cli, ["compare", *names], catch_exceptions=False, standalone_mode=False)


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
