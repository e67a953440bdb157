"""A full disk and a read-only medium: results are read as ever, and what cannot be written is said."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_study

from asymbp_cli.errors import StoreError
from asymbp_cli.files.locks import hold_writer_lock
from asymbp_cli.files.paths import FILE_NAME
from asymbp_cli.results.store import Store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    directory = tmp_path / "disk"
    directory.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=2m", "tmpfs", str(directory)]
    if not mount or subprocess.run([mount, *options], capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


def fill(disk: Path) -> None:
    with (disk / "fill").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(512))
        except OSError:
            pass


def trained(directory: Path, *, with_log: bool) -> Path:
    """Make results in which two runs have finished; the second may be in the write-ahead log only."""
    source = directory.parent / "source"
    small_study.train(source, small_study.grid("SGD", multipliers=(1.0,)))
    with Store.open(source) as store:
        store._connection.execute("PRAGMA wal_autocheckpoint = 0")
        with store.writing():
            store.save_grid(small_study.grid("BM", multipliers=(1.0,)))
        if with_log:
            assert (source / f"{FILE_NAME}-wal").stat().st_size > 0
        copy = [FILE_NAME, f"{FILE_NAME}-wal"] if with_log else []
        directory.mkdir()
        for name in copy:
            shutil.copy(source / name, directory)
    if not with_log:
        shutil.copy(source / FILE_NAME, directory)
    return directory


def asymbp(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "asymbp_cli", *arguments]
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)


def read_all(directory: Path) -> tuple[int, int]:
    with Store.open(directory, create=False) as store:
        return len(store.runs()), len(store.grids())


@pytest.mark.parametrize("with_log", [False, True])
def test_results_are_read_where_nothing_can_be_made_beside_them(tmp_path: Path, with_log: bool) -> None:
    directory = trained(tmp_path / "results", with_log=with_log)
    (directory / f"{FILE_NAME}-shm").mkdir()  # so that SQLite cannot make it
    before = (directory / FILE_NAME).read_bytes()
    assert read_all(directory) == (1, 2)
    assert (directory / FILE_NAME).read_bytes() == before
    with Store.open(directory) as store, pytest.raises(StoreError, match="cannot read and write"), store.writing():
        store.save_grid(small_study.grid("SGD"))


@pytest.mark.parametrize("with_log", [False, True])
def test_results_are_read_on_a_full_disk_and_a_study_says_that_it_is_full(disk: Path, with_log: bool) -> None:
    directory = trained(disk / "results", with_log=with_log)
    fill(disk)
    assert read_all(directory) == (1, 2)
    for command in ("report", "ls runs"):
        done = asymbp(*command.split(), "--results", str(directory))
        assert (done.returncode, done.stderr) == (0, "")
    with pytest.raises(StoreError, match=r"no space left for .*asymbp\.sqlite|\.lock: No space left"):
        small_study.train(directory, small_study.grid("uSF"))
    (disk / "fill").unlink()
    assert read_all(directory) == (1, 2)
    small_study.train(directory, small_study.grid("uSF"))


@pytest.mark.parametrize("with_log", [False, True])
def test_results_are_read_on_a_read_only_medium(disk: Path, with_log: bool) -> None:
    directory = trained(disk / "results", with_log=with_log)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert read_all(directory) == (1, 2)


def test_results_that_are_made_on_a_full_disk(disk: Path) -> None:
    (disk / "results").mkdir()
    fill(disk)
    with pytest.raises(StoreError, match=r"no space left for .*asymbp\.sqlite|No space left on device"):
        small_study.train(disk / "results", small_study.grid("SGD"))
    with pytest.raises(StoreError, match="no space left for"):
        Store.open(disk / "new" / "directories" / "of-a-new-study")


def test_a_lock_on_a_full_disk(disk: Path) -> None:
    (disk / ".lock").touch()
    fill(disk)
    with pytest.raises(StoreError, match="No space left on device"), hold_writer_lock(disk):
        pass


def test_a_part_of_the_log_that_reached_the_file_is_no_foreign_change(tmp_path: Path) -> None:
    """Emptying the log may end halfway, on a full disk or at the largest size of a file."""
    path = tmp_path / FILE_NAME
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Store.open(tmp_path) as store, store.writing():
        for number in range(40):
            store.save_dataset(small_study.INFO.model_copy(update={"fingerprint": f"{number:064}"}))
        store.flush()
        before = path.read_bytes()
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 4096, limits[1]))
            with pytest.raises(StoreError):
                store.flush_if_free(durable=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.read_bytes() != before
        store.save_dataset(small_study.INFO)
    assert not list(tmp_path.glob("*.kept"))
    with Store.open(tmp_path) as store:
        assert len(store.datasets()) == 41
