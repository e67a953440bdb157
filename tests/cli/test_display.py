"""What the displays say once it is known: the time of a study, and that a part of it is tried again."""

import json
import re
import sys
import time
from dataclasses import replace
from io import StringIO

import pytest
import small_study
from rich.console import Console

from asymbp_cli.cli.choose_display import choose_display
from asymbp_cli.cli.display import Display, PlainLines
from asymbp_cli.cli.json_lines import JsonLines
from asymbp_cli.cli.live import LiveDisplay
from asymbp_cli.cli.live_view import render_progress
from asymbp_cli.cli.progress import StudyProgress
from asymbp_cli.events import EpochEnded, Provenance, RunFinished, WorkerFound
from asymbp_cli.executors import StackFailed, StackStarted
from asymbp_cli.specs.networks import Network


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def progress(clock: Clock, estimate_seconds: float | None = None) -> StudyProgress:
    runs = small_study.grid("SGD", epochs=4).all_runs()
    return StudyProgress(
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


def test_what_a_worker_notes_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    known = progress(Clock())
    display = PlainLines(known)
    for note in ("Slow.", "Slow.", "Slower.", None):
        display.handle(WorkerFound((next(iter(known.runs)),), Provenance("node", "cuda:0", {}, None, 1), note))
    assert capsys.readouterr().err.splitlines() == ["Slow.", "Slower."]


def test_without_an_estimate_the_pace_after_the_first_epoch_tells_how_long(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    known = progress(clock)
    display = PlainLines(known)
    first, second = known.runs
    display.handle(StackStarted("s", (first, second), 0))
    assert known.eta_seconds is None
    assert known.remaining_time == "time left not known yet"
    clock.now = 2000.0  # starting and compiling
    for run in (first, second):
        display.handle(ended(run, 1))
    assert known.share == 0.25
    clock.now = 2200.0
    for run in (first, second):
        display.handle(ended(run, 2))
    assert known.eta_seconds == pytest.approx(400)
    clock.now = 2400.0
    display.handle(ended(first, 3))
    assert known.eta_seconds == pytest.approx(200)  # no guess before the other run has ended the epoch, too
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1  # once
    assert said[0].startswith("about 7 min left, by the first epochs. Ctrl-C loses no more than the current epoch")


def test_runs_of_one_epoch_are_extrapolated_as_a_whole() -> None:
    clock = Clock()
    known = progress(clock)
    known.remaining = dict.fromkeys(known.runs, 1)
    known.__post_init__()
    clock.now = 100.0
    known.handle(ended(next(iter(known.runs)), 1))
    assert known.eta_seconds == pytest.approx(100 * (len(known.runs) - 1))


def test_an_estimate_is_not_said_again(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    known = progress(clock, 50.0)
    assert known.remaining_time == "50 s left"
    clock.now = 5.0
    PlainLines(known).handle(ended(next(iter(known.runs)), 1))
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
    known = progress(Clock())
    PlainLines(known).handle(StackFailed("s", tuple(known.runs), "a graph failed", None, remedy))
    assert capsys.readouterr().err == said


def test_json_has_the_facts_and_no_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    known = progress(clock)
    display = JsonLines(known)
    display.announce("2 runs to train")
    clock.now = 1.0
    display.handle(ended(next(iter(known.runs)), 1))
    display.handle(StackFailed("s", tuple(known.runs), "a graph failed", None, "without CUDA graphs"))
    plan, epoch, failure = map(json.loads, capsys.readouterr().out.splitlines())
    assert (plan["event"], plan["seconds"]) == ("plan", None)
    assert (epoch["event"], epoch["kind"]) == ("EpochEnded", "epoch_ended")
    assert abs(epoch["time"] - time.time()) < 60
    assert epoch["method"] == known.describe_run(epoch["run"]).split()[0]
    assert "dataset_name" in epoch
    assert failure["remedy"] == "without CUDA graphs"
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("quiet", "as_json", "terminal", "variables", "kind"),
    [
        (False, False, True, {}, LiveDisplay),
        (False, False, True, {"TERM": "dumb"}, PlainLines),
        (False, False, True, {"CI": "true"}, PlainLines),
        (False, False, True, {"CI": "false"}, LiveDisplay),
        (False, False, False, {}, PlainLines),
        (True, False, True, {}, Display),
        (True, True, True, {}, JsonLines),
    ],
)
def test_the_display_fits_options_and_terminal(
    quiet: bool,
    as_json: bool,
    terminal: bool,
    variables: dict[str, str],
    kind: type[Display],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in ({"TERM": "xterm", "CI": ""} | variables).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert type(choose_display(progress(Clock()), quiet=quiet, as_json=as_json)) is kind


def test_rows_of_one_name_are_told_apart_while_they_train() -> None:
    rows = [
        small_study.row().model_copy(
            update={"network": Network(input=(8, 8, 1), layers=(f"FC {width}", "FC classes")).resolve(10)}
        )
        for width in (16, 64)
    ]
    grid = small_study.grid("SGD", multipliers=(1.0,), rows=tuple(rows))
    runs = grid.all_runs()
    shown = StudyProgress(
        grids=(grid,), runs=runs, remaining=dict.fromkeys(runs, 4), epoch_cost=dict.fromkeys(runs, 1.0)
    )
    assert [shown.describe_run(run) for run in runs] == ["SGD x1 on digits (FC 16)", "SGD x1 on digits (FC 64)"]
    for number, run in enumerate(runs):
        shown.handle(replace(ended(run, 1), test_wrong=5 + number))
    text = StringIO()
    Console(file=text, width=80).print(render_progress(shown))
    assert re.search(r"digits \(FC 16\) +digits \(FC 64\)", text.getvalue())
    assert re.search(r"SGD +10\.00 +12\.00", text.getvalue())


def test_plain_lines_tick_in_the_words_of_the_live_display(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    known = progress(clock, 50.0)
    first, second = known.runs
    with PlainLines(known) as display:
        clock.now = 30.0
        display.tick()
        display.handle(StackStarted("s", (first, second), 0))
        clock.now = 42.5
        display.handle(ended(first, 1))
        display.handle(ended(second, 1))
        clock.now = 60.0
        display.tick()
    assert capsys.readouterr().err.splitlines() == [
        "starting 1 worker",
        "0 % done; starting 1 worker; 30 s elapsed, then 50 s left",
        "25 % done; SGD (2 runs): epoch 2 of 4; 60 s elapsed, 38 s left",
    ]


def test_a_line_names_no_stack_if_none_trains(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    known = progress(clock, 50.0)
    display = PlainLines(known)
    display.handle(StackStarted("s", tuple(known.runs), 0))
    for run in known.runs:
        for epoch in (1, 2, 3, 4):
            display.handle(ended(run, epoch))
        display.handle(RunFinished(run, "finished", 4))
    display.tick()
    assert capsys.readouterr().err.splitlines()[-1] == "100 % done; 0 s elapsed, all done"


def test_a_display_ticks_by_itself_until_it_ends() -> None:
    ticks = []

    class Ticking(Display):
        tick_seconds = 0.01

        def tick(self) -> None:
            ticks.append(time.monotonic())

    with Ticking(progress(Clock())):
        deadline = time.monotonic() + 10
        while len(ticks) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    count = len(ticks)
    assert count >= 3
    time.sleep(0.05)
    assert len(ticks) == count


def test_nothing_ticks_if_nothing_is_trained(capsys: pytest.CaptureFixture[str]) -> None:
    known = progress(Clock())
    known.remaining = {}
    with PlainLines(known):
        pass
    assert not capsys.readouterr().err
