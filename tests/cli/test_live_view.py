"""The live display: what it waits for, where it is, and what it shows if there is little room."""

from dataclasses import replace

import pytest
import small_study
from test_pace import Clock, ended

from asymbp_cli.cli.live_view import render_progress
from asymbp_cli.cli.progress import StudyProgress
from asymbp_cli.events import Progress, Provenance, RunDiverged, WorkerFound
from asymbp_cli.executors import StackStarted
from asymbp_cli.recipe.grid import Grid

METHODS = ("SGD", "BM", "BN", "BN+BM", "uSF", "NuSF", "uSF+BM", "uSF+BN")


def study(clock: Clock, **changes: object) -> StudyProgress:
    grid = small_study.grid(*METHODS, epochs=4, multipliers=(1.0,))
    runs = grid.all_runs()
    facts = {"estimate_seconds": 40.0, "workers": 2, "clock": clock} | changes
    return StudyProgress((grid,), runs, dict.fromkeys(runs, 4), dict.fromkeys(runs, 2.5), **facts)  # type: ignore[arg-type]


def run_of(progress: StudyProgress, method: str) -> str:
    (run,) = progress.cells[method, "digits"]
    return run


def begin(progress: StudyProgress, method: str, device: str = "cpu (a)", start: int = 0) -> str:
    run = run_of(progress, method)
    progress.handle(StackStarted(method, (run,), start))
    if device:
        progress.handle(WorkerFound((run,), Provenance("host", device, {}, None, 1)))
    return run


def shown(progress: StudyProgress, width: int = 80, height: int = 24) -> list[str]:
    lines = render_progress(progress, width, height).plain.splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    return lines


def test_it_says_what_it_waits_for_and_time_passes() -> None:
    clock = Clock()
    progress = study(clock)
    begin(progress, "SGD", device="")
    begin(progress, "BM", device="")
    clock.now = 3.0
    assert shown(progress)[0] == "starting 2 workers: 3 s elapsed, then 40 s left"
    assert shown(study(clock, workers=1))[0].startswith("starting 1 worker:")


def test_it_says_where_each_stack_is() -> None:
    progress = study(Clock())
    begin(progress, "SGD")
    begin(progress, "BM", device="cuda:0 (NVIDIA H100)")
    begin(progress, "BN", device="")
    begin(progress, "uSF", start=2)
    now = [line for line in shown(progress) if line.startswith("now:")]
    assert now == [
        "now: SGD (1 run): epoch 1 of 4",
        "now: BM (1 run): compiling",
        "now: BN (1 run): starting a worker",
        "now: uSF (1 run): epoch 3 of 4",
    ]
    progress.handle(Progress("SGD", 1, 3, 1500))
    assert "now: SGD (1 run): epoch 1 of 4, batch 3 of 1,500" in shown(progress)
    progress.handle(ended(run_of(progress, "SGD"), 1))
    assert "now: SGD (1 run): epoch 2 of 4" in shown(progress)


def test_those_in_training_are_shown_if_there_is_room_for_few() -> None:
    progress = study(Clock())
    begin(progress, "NuSF")
    begin(progress, "uSF+BN")
    table = shown(progress, height=10)[4:]
    assert [line.split()[0] for line in table] == ["best", "digits", "SGD", "NuSF", "uSF+BN", "and"]
    assert table[-1] == "and 5 methods more"
    assert all(method in "\n".join(shown(progress, height=40)) for method in METHODS)
    assert len(shown(progress, height=3)) == 3
    assert len(shown(progress, width=20, height=5)) <= 5


def test_diverged_and_collapsed_runs_are_marked() -> None:
    progress = study(Clock())
    dead, lost = begin(progress, "uSF"), begin(progress, "NuSF")
    assert not [line for line in shown(progress) if "run diverged" in line or "collapsed" in line]
    progress.handle(replace(ended(dead, 1), one_class=True, test_wrong=45))
    progress.handle(RunDiverged(lost, 1))
    progress.handle(replace(ended(lost, 1), diverged=True, test_wrong=44))
    text = "\n".join(shown(progress))
    assert "90.00=" in text
    assert "88.00*" in text
    assert "* 1 run diverged; = 1 run collapsed" in text
    progress.handle(ended(dead, 2))  # it lives again
    assert "collapsed" not in "\n".join(shown(progress))


@pytest.mark.parametrize("width", [30, 60, 200])
def test_datasets_that_have_no_room_are_counted(width: int) -> None:
    rows = tuple(
        small_study.row().model_copy(update={"label": f"dataset {i}", "dataset": f"{i}" * 16}) for i in range(9)
    )
    grid = small_study.grid("SGD", multipliers=(1.0,), rows=rows)
    runs = grid.all_runs()
    progress = StudyProgress((grid,), runs, dict.fromkeys(runs, 4), dict.fromkeys(runs, 1.0), clock=Clock())
    text = "\n".join(shown(progress, width=width))
    count = text.count("dataset ") - text.count("1 dataset more")
    assert count == 9 if width == 200 else f"{9 - count} datasets more" in text


def joined(*grids: Grid) -> StudyProgress:
    runs = {run_id: run for grid in grids for run_id, run in grid.all_runs().items()}
    return StudyProgress(grids, runs, dict.fromkeys(runs, 4), dict.fromkeys(runs, 2.5), clock=Clock())


def test_one_header_under_two_protocols_is_two_lines() -> None:
    slow, fast = (small_study.grid("SGD", "uSF", epochs=epochs, multipliers=(1.0,)) for epochs in (4, 2))
    slow = slow.model_copy(update={"protocol_label": "slow"})
    progress = joined(slow, fast.model_copy(update={"protocol_label": "fast"}))
    names = ["SGD (slow)", "uSF (slow)", "SGD (fast)", "uSF (fast)"]
    assert [method for method, _ in progress.cells] == names
    assert all(len(runs) == 1 for runs in progress.cells.values())
    assert [progress.describe_run(run) for run in progress.runs] == [f"{name} x1 on digits" for name in names]
    for run, epoch in zip(progress.runs, (1, 2, 3, 4), strict=True):
        progress.handle(ended(run, epoch))
    text = "\n".join(shown(progress))
    assert all(name in text for name in names)


def test_tables_of_one_protocol_are_told_apart_by_their_names() -> None:
    mine, other = (small_study.grid("SGD", epochs=epochs, multipliers=(1.0,)) for epochs in (4, 2))
    progress = joined(mine, other.model_copy(update={"key": "recipe-other"}))
    assert [method for method, _ in progress.cells] == [f"SGD ({mine.key.partition('-')[2]})", "SGD (other)"]


def test_what_two_tables_share_is_one_line() -> None:
    grid = small_study.grid("SGD", epochs=4, multipliers=(1.0,))
    both = small_study.grid("uSF", "SGD", epochs=4, multipliers=(1.0,))
    progress = joined(grid, both.model_copy(update={"key": "recipe-other", "title": "Other"}))
    assert [method for method, _ in progress.cells] == ["SGD", "uSF"]


def test_two_datasets_of_one_name_in_two_tables_are_two_columns() -> None:
    first = small_study.grid("SGD", epochs=4, multipliers=(1.0,))
    second = first.model_copy(update={"rows": (small_study.row("e" * 64),), "key": "recipe-other"})
    progress = joined(first, second)
    assert [label for _, label in progress.cells] == ["digits (data ffffffff)", "digits (data eeeeeeee)"]
    assert [len(runs) for runs in progress.cells.values()] == [1, 1]
