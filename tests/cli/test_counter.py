"""The progress of downloads and decodings: one line of a terminal, few lines without one."""

import sys

import pytest

from asymbp_cli.cli import counter


def test_a_terminal_has_one_line_that_is_rewritten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    show = counter.show_progress()
    for done in (500, 1000, 1200):
        show("decoding MNIST", done, 1200)
    assert capsys.readouterr().err == (
        "\rdecoding MNIST: 500 of 1,200\rdecoding MNIST: 1,000 of 1,200\rdecoding MNIST: 1,200 of 1,200\n"
    )


def test_without_a_terminal_only_the_end_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    show = counter.show_progress()
    for done in (500, 1000, 1200):
        show("decoding MNIST", done, 1200)
    assert capsys.readouterr().err == "decoding MNIST: 1,200\n"


def test_without_a_terminal_a_long_wait_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 0.0, 11.0, 11.0, 11.0, 12.0, 12.0])
    monkeypatch.setattr(counter.time, "monotonic", lambda: next(now))
    show = counter.show_progress()
    show("downloading x", 1, 0)
    show("downloading x", 2, 0)  # 11 s later; the total is not known
    show("downloading x", 3, 0)  # 1 s later
    assert capsys.readouterr().err == "downloading x: 2\n"
