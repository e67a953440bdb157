"""What a command waits for before it trains."""

import sys
import time

import pytest

from asymbp_cli.cli import waiting
from asymbp_cli.cli.waiting import Waiting


def test_a_terminal_has_a_line_that_ticks_and_is_erased(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("CI", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(waiting, "_TICK_SECONDS", 0.01)
    with Waiting("reading the data", quiet=False) as shown:
        time.sleep(0.1)
        shown.end()
        shown.end()  # again does nothing
        written = capsys.readouterr().err
    assert written.count("reading the data: 0 s elapsed\x1b[K\r") > 1
    assert written.endswith("\r\x1b[K")
    assert not capsys.readouterr().err


def test_without_a_terminal_only_a_long_wait_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Waiting("reading the data", quiet=False):
        pass
    assert not capsys.readouterr().err
    monkeypatch.setattr(waiting, "_LINE_SECONDS", 0.01)
    with Waiting("reading the data", quiet=False):
        time.sleep(0.1)
    assert "reading the data: 0 s elapsed\n" in capsys.readouterr().err


def test_nothing_is_shown_if_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(waiting, "_LINE_SECONDS", 0.01)
    with Waiting("reading the data", quiet=True):
        time.sleep(0.05)
    assert not capsys.readouterr().err
