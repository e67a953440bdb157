"""What is asked again, and how often."""

import errno
import time
from pathlib import Path

import flaky_files
import pytest

from asymbp_cli.files.patience import patiently
from asymbp_cli.training import resume
from asymbp_cli.training.weight_files import write_weights


class Refusing:
    """Refuses so many times, then answers."""

    def __init__(self, times: int, number: int = errno.ESTALE) -> None:
        self.times, self.number, self.asked = times, number, 0

    def __call__(self) -> str:
        self.asked += 1
        if self.asked <= self.times:
            raise OSError(self.number, "refused")
        return "content"


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EINTR, errno.ETIMEDOUT, errno.ENOTCONN])
def test_what_is_refused_for_a_moment_is_asked_for_again(number: int, waited: list[float]) -> None:
    ask = Refusing(3, number)
    assert patiently(ask) == "content"
    assert waited == sorted(waited)
    assert len(waited) == 3


def test_the_last_error_is_raised_after_some_seconds(waited: list[float]) -> None:
    ask = Refusing(1000)
    with pytest.raises(OSError, match="refused"):
        patiently(ask)
    assert ask.asked == len(waited) + 1
    assert 5 < sum(waited) < 10


@pytest.mark.parametrize(
    "number",
    [
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EACCES,
        errno.EEXIST,
        errno.EROFS,
        errno.ENAMETOOLONG,
        errno.ENOSPC,
        errno.EMFILE,
    ],
)
def test_an_answer_is_raised_at_once(number: int, waited: list[float]) -> None:
    with pytest.raises(OSError, match="refused"):
        patiently(Refusing(1, number))
    assert waited == []


def test_other_errors_are_raised_at_once(waited: list[float]) -> None:
    with pytest.raises(ZeroDivisionError):
        patiently(lambda: 1 / 0)
    assert waited == []


def test_checkpoints_and_weights_are_written_though_they_are_refused_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [tmp_path / "checkpoints", tmp_path / "weights"]
    with monkeypatch.context() as patch:
        refused = flaky_files.refuse(patch, tmp_path, 2)
        resume.write(places[0], "ab", b"checkpoint")
        write_weights(places[1], "ab", b"weights")
    assert refused == {"mkdir": 4, "open": 4, "replace": 4, "unlink": refused["unlink"]}
    assert [(place / "ab.safetensors").read_bytes() for place in places] == [b"checkpoint", b"weights"]
