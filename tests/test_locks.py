import subprocess
import sys
import time
from pathlib import Path

import pytest
import small_study

from asymbp_cli.errors import StoreError
from asymbp_cli.files.locks import check_no_writer, hold_lock, hold_writer_lock
from asymbp_cli.files.paths import FILE_NAME

_HOLD = """
import sys, time
from pathlib import Path
from asymbp_cli.files.locks import hold_lock, hold_writer_lock
with (hold_lock if sys.argv[1] == "wait" else hold_writer_lock)(Path(sys.argv[2])):
    print("held", flush=True)
    time.sleep(float(sys.argv[3]))
"""


def holder(kind: str, path: Path, seconds: float) -> "subprocess.Popen[str]":
    """Return a process that holds a lock by now."""
    arguments = [sys.executable, "-c", _HOLD, kind, str(path), str(seconds)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    with holder("wait", tmp_path / ".lock", 0.4):
        began = time.monotonic()
        with hold_lock(tmp_path / ".lock"):
            assert time.monotonic() - began > 0.2


def test_a_second_writer_is_told_who_the_first_is(tmp_path: Path) -> None:
    with holder("writer", tmp_path, 60) as process:
        try:
            with (
                pytest.raises(StoreError, match=rf"another asymbp \(pid {process.pid}\) is writing"),
                hold_writer_lock(tmp_path),
            ):
                pass
        finally:
            process.kill()
    with hold_writer_lock(tmp_path):  # the operating system released it
        pass


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match=r"cannot write .*missing/\.lock: .*--results DIR"),
        hold_writer_lock(tmp_path / "missing"),
    ):
        pass


def test_results_that_cannot_be_written_are_refused_before_anything_takes_time(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    for check in (check_no_writer, lambda directory: hold_writer_lock(directory).__enter__()):
        with pytest.raises(StoreError, match=r"cannot write .*/\.lock: Is a directory\. Choose another"):
            check(tmp_path)


def test_a_lock_of_odd_bytes_is_explained(tmp_path: Path) -> None:
    with holder("writer", tmp_path, 60) as process:
        (tmp_path / ".lock").write_bytes(b"12 caf\xe9\n")
        try:
            with (
                pytest.raises(StoreError, match=r"another asymbp \(pid 12 on caf"),
                hold_writer_lock(tmp_path),
            ):
                pass
        finally:
            process.kill()


def test_a_writer_is_found_without_taking_the_lock(tmp_path: Path) -> None:
    check_no_writer(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with hold_writer_lock(tmp_path), pytest.raises(StoreError, match=r"another asymbp \(pid \d+\) is writing"):
        check_no_writer(tmp_path)
    (tmp_path / ".lock").write_text("1 of a process that was killed\n")
    check_no_writer(tmp_path)
    with hold_writer_lock(tmp_path):
        pass


def test_results_that_share_a_database_have_one_writer(tmp_path: Path) -> None:
    """Both would write the same rows, of which neither knows what the other has written."""
    one, other = tmp_path / "one", tmp_path / "other"
    for directory in (one, other):
        directory.mkdir()
    (one / FILE_NAME).touch()
    (other / FILE_NAME).symlink_to(Path("../one") / FILE_NAME)
    for first, second in ((one, other), (other, one)):
        with hold_writer_lock(first):
            with pytest.raises(StoreError, match="is writing to"), hold_writer_lock(second):
                pass
            with pytest.raises(StoreError, match="is writing to"):
                check_no_writer(second)
    loop = tmp_path / "loop"
    loop.mkdir()
    (loop / FILE_NAME).symlink_to(FILE_NAME)
    check_no_writer(loop)


def test_a_database_with_two_names_is_not_written(tmp_path: Path) -> None:
    """SQLite keeps a log for each name: two writers would not see each other's, and a kill leaves one behind."""
    one, other = tmp_path / "one", tmp_path / "the other's"
    other.mkdir()
    small_study.train(one, small_study.grid("SGD"))
    (other / FILE_NAME).hardlink_to(one / FILE_NAME)
    for directory in (one, other):
        with (
            pytest.raises(StoreError, match=r"has 2 names \(hard links\)") as refused,
            hold_writer_lock(directory),
        ):
            pass
    assert small_study.numbers(other) == small_study.numbers(one)  # it can be read
    subprocess.run(["sh", "-c", str(refused.value).rpartition(": ")[2]], check=True)
    for directory in (one, other):
        small_study.train(directory, small_study.grid("SGD", "BM"))
    assert small_study.numbers(other) == small_study.numbers(one)


def test_the_second_name_that_a_kill_leaves_is_no_obstacle(tmp_path: Path) -> None:
    small_study.train(tmp_path, small_study.grid("SGD"))
    (tmp_path / f".{FILE_NAME}.1-2.part").hardlink_to(tmp_path / FILE_NAME)  # between `link` and `unlink`
    small_study.train(tmp_path, small_study.grid("SGD", "BM"))
    assert len(small_study.numbers(tmp_path)) == 4
