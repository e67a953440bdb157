"""What the displays say once it is known: the time of a study, and that a part of it is tried again."""

import json

import pytest
import small_study

from asymbp_cli.cli.display import JsonLines, PlainLines
from asymbp_cli.cli.progress import Board
from asymbp_cli.events import EpochEnded
from asymbp_cli.executors import StackFailed, StackStarted


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def board(clock: Clock, estimate_seconds: float | None = None) -> Board:
    runs = small_study.grid("SGD", epochs=4).all_runs()
    return Board(
        grids=(),
        runs=runs,
        remaining=dict.fromkeys(runs, 4),
        epoch_cost=dict.fromkeys(runs, 7e9),
        estimate_seconds=estimate_seconds,
        clock=clock,
    )


def ended(run: str, epoch: int) -> EpochEnded:
    counts = {"train_wrong": 0, "train_seen": 100, "test_wrong": 5, "test_seen": 50}
    flags = {"validation_wrong": None, "validation_seen": None, "one_class": False, "diverged": False}
    return EpochEnded(run, epoch, 1.0, 0.1, test_loss=0.1, seconds=1.0, **counts, **flags)  # type: ignore[arg-type]


def test_without_an_estimate_the_first_epoch_tells_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    known = board(clock)
    display = PlainLines(known)
    first, second = known.runs
    display.take(StackStarted("s", (first, second), 0))
    assert known.eta_seconds is None
    assert known.to_go == "time to go not known yet"
    clock.now = 100.0
    display.take(ended(first, 1))
    assert known.eta_seconds == pytest.approx(700)
    display.take(ended(second, 1))
    assert known.eta_seconds == pytest.approx(300)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1  # once
    assert said[0].startswith("about 12 min to go, by the first epoch. Ctrl-C loses at most a minute")


def test_an_estimate_is_not_said_again(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    known = board(clock, 50.0)
    assert known.to_go == "50 s to go"
    clock.now = 5.0
    PlainLines(known).take(ended(next(iter(known.runs)), 1))
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("remedy", "said"),
    [
        ("without CUDA graphs", "a graph failed: 2 runs continue without CUDA graphs\n"),
        ("in smaller stacks", "a graph failed: 2 runs continue in smaller stacks\n"),
        (None, ""),  # what failed for good is said at the end
    ],
)
def test_what_is_tried_again_is_said(remedy: str | None, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    known = board(Clock())
    PlainLines(known).take(StackFailed("s", tuple(known.runs), "a graph failed", None, remedy))
    assert capsys.readouterr().err == said


def test_json_has_the_facts_and_no_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    known = board(clock)
    display = JsonLines(known)
    display.announce("2 runs to train")
    clock.now = 1.0
    display.take(ended(next(iter(known.runs)), 1))
    display.take(StackFailed("s", tuple(known.runs), "a graph failed", None, "without CUDA graphs"))
    plan, epoch, failure = map(json.loads, capsys.readouterr().out.splitlines())
    assert (plan["event"], plan["seconds"]) == ("plan", None)
    assert epoch["event"] == "EpochEnded"
    assert failure["remedy"] == "without CUDA graphs"
    assert not capsys.readouterr().err
