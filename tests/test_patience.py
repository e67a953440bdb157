"""What is asked again, and how often."""

import errno
import time

import pytest

from asymbp_cli.files.patience import patiently


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
    "number", [errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.ENOSPC, errno.EMFILE]
)
def test_an_answer_is_raised_at_once(number: int, waited: list[float]) -> None:
    with pytest.raises(OSError, match="refused"):
        patiently(Refusing(1, number))
    assert waited == []


def test_other_errors_are_raised_at_once(waited: list[float]) -> None:
    with pytest.raises(ZeroDivisionError):
        patiently(lambda: 1 / 0)
    assert waited == []
