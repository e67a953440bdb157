from pathlib import Path

import pytest

from asymbp_cli import files


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path, durable: bool) -> None:
    target = tmp_path / "report.md"
    target.write_bytes(b"old, and longer")
    files.replace(target, b"new", durable=durable)
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 251 + ".txt")
    files.replace(target, b"new")
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
        files.replace(target, b"new")
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
        files.replace(tmp_path / "folder", b"new")
