"""Folders for temporary files: those of killed processes go, those of living ones never."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest
import small_study

from asymbp_cli.files import own_folder as module
from asymbp_cli.files.own_folder import own_folder

_HOLD = """
import sys, time
from pathlib import Path
from asymbp_cli.files.own_folder import own_folder
with own_folder(Path(sys.argv[1])) as folder:
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "large").write_text("much")
    print(folder, flush=True)
    time.sleep(60)
"""


def holder(parent: Path) -> "tuple[subprocess.Popen[str], Path]":
    """Return a process that has a folder by now, and that folder."""
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(parent)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def test_it_is_deleted_at_the_end(tmp_path: Path) -> None:
    with own_folder(tmp_path, "ray-") as folder:
        assert folder.name.startswith("asymbp-ray-")
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "large").touch()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_a_killed_process_goes_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    (living, kept), (dead, left) = holder(tmp_path), holder(tmp_path)
    try:
        kill(dead)
        assert (left / "checkpoints" / "large").exists()
        with own_folder(tmp_path) as own:
            assert set(tmp_path.iterdir()) == {own, kept}
            assert (kept / "checkpoints" / "large").exists()
    finally:
        kill(living)


def test_folders_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another machine, a process that has not signed yet, an earlier version, results, another user."""
    signatures = {
        "asymbp-there": "another machine",
        "asymbp-young": "",
        "asymbp-odd": "caf\udce9",
        "another": platform.node(),
    }
    for name, signature in signatures.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / ".temporary.lock").write_bytes(signature.encode("utf-8", "surrogateescape"))
    (tmp_path / "asymbp-early" / "checkpoints").mkdir(parents=True)
    small_study.train(tmp_path / "asymbp-results", small_study.grid("SGD"))
    (tmp_path / "asymbp-results" / ".lock").write_text(platform.node())
    before = set(tmp_path.rglob("*"))
    with own_folder(tmp_path):
        pass
    assert set(tmp_path.rglob("*")) == before
    (tmp_path / "asymbp-young" / ".temporary.lock").write_text(platform.node())
    monkeypatch.setattr(module.os, "getuid", lambda: 12345)
    module._sweep(tmp_path)
    assert set(tmp_path.rglob("*")) == before
    monkeypatch.undo()
    module._sweep(tmp_path)
    assert not (tmp_path / "asymbp-young").exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ".temporary.lock").write_text(platform.node())
    (tmp_path / "asymbp-link").symlink_to("elsewhere")
    with own_folder(tmp_path):
        pass
    assert (tmp_path / "elsewhere" / ".temporary.lock").exists()


def test_without_locks_nothing_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("asymbp_cli.files.locks._acquire", refuse)
    with own_folder(tmp_path) as first, own_folder(tmp_path) as second:
        assert first.is_dir()
        assert (second / ".temporary.lock").read_text() == ""
    assert list(tmp_path.iterdir()) == []


def test_a_kill_while_it_is_deleted_leaves_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody would know that the rest may go."""
    process, left = holder(tmp_path)
    kill(process)
    deleted: list[Path] = []
    delete = module.shutil.rmtree

    def note(path: Path, **options: bool) -> None:
        deleted.append(path)
        assert (left / ".temporary.lock").exists()
        delete(path, **options)

    monkeypatch.setattr(module.shutil, "rmtree", note)
    module._sweep(tmp_path)
    assert deleted[-1] == left
    assert left / "checkpoints" in deleted
    assert not left.exists()
