import os
import time
from pathlib import Path

import pytest
import small_study

from asymbp_cli.cli.write import write_bytes
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.resident import load
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.files import whole
from asymbp_cli.files.locks import mark
from asymbp_cli.files.paths import FILE_NAME
from asymbp_cli.training import resume


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path, durable: bool) -> None:
    target = tmp_path / "report.md"
    target.write_bytes(b"old, and longer")
    whole.replace(target, b"new", durable=durable)
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 251 + ".txt")
    whole.replace(target, b"new")
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise error

    target = tmp_path / "report.md"
    target.write_bytes(b"old")
    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(type(error)):
        whole.replace(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_first_error_is_reported_if_the_temporary_file_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("cannot remove")

    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(Path, "unlink", fail)
    with pytest.raises(OSError, match="directory"):
        whole.replace(tmp_path / "folder", b"new")


@pytest.mark.parametrize("name", ["report.md", "asymbp.sqlite", "a[1]*.md", "x" * 250])
def test_what_killed_processes_left_is_deleted_once_it_is_old(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    left = whole.temporary_path(target)
    others = [left.with_name(left.name.removesuffix(".part")), left.with_name(f"{left.name}-journal")]
    users = [
        target,
        tmp_path / f".{name[:40]}.1",
        tmp_path / f".{name[:40]}.part",
        tmp_path / ".other.md.1-2.part",
    ]
    for path in (left, *others, *users):
        path.write_text("")
    whole.sweep(target)
    assert len(list(tmp_path.iterdir())) == 7  # a process may be at it
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    whole.sweep(target)
    assert set(tmp_path.iterdir()) == set(users)


def test_after_a_minute_what_nobody_holds_is_deleted(tmp_path: Path) -> None:
    target = tmp_path / "report.md"
    left, held = (tmp_path / f".report.md.{number}-2.part" for number in (1, 2))
    minutes_ago = time.time() - 120
    left.write_text("a part")
    with held.open("wb") as file:
        mark(file)
        os.utime(left, (minutes_ago, minutes_ago))
        os.utime(held, (minutes_ago, minutes_ago))
        for long_ago in (minutes_ago, 0):  # a clock may jump
            os.utime(held, (long_ago, long_ago))
            whole.sweep(target)
            assert list(tmp_path.iterdir()) == [held]
    whole.sweep(target)
    assert not held.exists()


def test_a_file_is_held_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[Path] = []
    monkeypatch.setattr(whole, "mark", lambda file: held.append(Path(file.name)))
    whole.replace(tmp_path / "report.md", b"new")
    assert held == [whole.temporary_path(tmp_path / "report.md")]


def test_every_use_sweeps_before_it_writes(tmp_path: Path) -> None:
    """Databases, reports, and what a cache keeps next to its arrays; checkpoints are swept when a study begins."""

    def leave(target: Path) -> Path:
        left = whole.temporary_path(target).with_name(f".{target.name}.1-2.part")
        left.parent.mkdir(exist_ok=True)
        left.write_text("")
        os.utime(left, (0, 0))
        return left

    left = [leave(tmp_path / "results" / FILE_NAME), leave(tmp_path / "report.md")]
    small_study.train(tmp_path / "results", small_study.grid("SGD"))
    write_bytes(b"", tmp_path / "report.md")
    left.append(leave(resume.checkpoint_path(tmp_path / "results" / "checkpoints", "0" * 16)))
    small_study.train(tmp_path / "results", small_study.grid("BM"))
    info = prepare("digits", (8, 8, 1), DataSource(cache_dir=tmp_path / "cache"))
    left.append(leave(info.path / "statistics-mean-image-0.0-0.npz"))
    load(info)
    assert not [path for path in left if path.exists()]
