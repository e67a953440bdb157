"""The results directory: what is kept, who may write, and what is said when something is wrong with it."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_study
from run_material import HERE, RUN, RUNS, ended

from asymbp_cli.errors import StoreError, UsageError, WorkerError
from asymbp_cli.events import Provenance, RunFinished, WorkerFound
from asymbp_cli.results.provenance import Program, check_same_program, collect
from asymbp_cli.results.store import Store


def test_events_come_back_as_they_were(begun: Store) -> None:
    events = [
        ended(epoch=1, validation_wrong=3, validation_seen=100, validation_loss=0.1 + 0.2),
        ended(epoch=2, train_loss=math.nan, test_loss=math.inf, one_class=True, diverged=True),
    ]
    for event in reversed(events):
        begun.record(event)
    found = begun.epochs([RUN.id, "unknown"])
    assert repr(found) == repr({RUN.id: events, "unknown": []})
    assert isinstance(found[RUN.id][1].diverged, bool)


def test_an_epoch_recorded_again_replaces_the_first(begun: Store) -> None:
    begun.record(ended(wrong=30))
    begun.record(ended(wrong=29))
    assert [event.test_wrong for event in begun.epochs([RUN.id])[RUN.id]] == [29]


def test_epochs_stored_counts_only_without_a_gap(begun: Store) -> None:
    for run, epochs in zip(RUNS, [(1, 2, 3), (1, 3)], strict=True):
        for epoch in epochs:
            begun.record(ended(run, epoch))
    assert begun.epochs_stored([RUNS[0].id, RUNS[1].id, "x"]) == {RUNS[0].id: 3, RUNS[1].id: 0, "x": 0}


def test_summaries_tell_progress_state_and_the_best_epoch(begun: Store) -> None:
    for epoch, wrong in ((1, 50), (2, 40), (3, 40)):
        begun.record(ended(RUNS[0], epoch, wrong))
    for epoch in range(1, 5):
        begun.record(ended(RUNS[1], epoch, 324, one_class=True))
    begun.record(RunFinished(RUNS[1].id, "collapsed", 4))
    found = {summary.id: summary for summary in begun.runs()}
    first = found[RUNS[0].id]
    assert (first.method, first.dataset, first.rate_multiplier, first.seed) == ("SGD", "digits", 10.0, 0)
    assert (first.progress, first.best) == ("3/4", (40, 360, 2))
    assert (found[RUNS[1].id].progress, found[RUNS[1].id].best) == ("collapsed", (324, 360, 1))
    assert begun.states() == {RUNS[1].id: "collapsed"}


def test_a_run_is_found_by_the_beginning_of_its_id(begun: Store) -> None:
    begun.record(ended(epoch=1))
    detail = begun.run(RUN.id[:6].upper())
    assert detail.run == RUN
    assert [event.epoch for event in detail.epochs] == [1]
    (attempt,) = detail.attempts
    assert (attempt.host, attempt.device, attempt.software) == (HERE.host, HERE.device, HERE.software)
    assert (attempt.git, attempt.outcome, attempt.ended) == (HERE.git, None, None)


@pytest.mark.parametrize(("prefix", "message"), [("", "2 run ids start"), ("zz", "no run id starts with .zz.")])
def test_a_prefix_must_name_one_run(begun: Store, prefix: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        begun.run(prefix)


def test_attempts_end_finished_failed_or_interrupted(store: Store) -> None:
    with store.writing():
        store.save_dataset(small_study.INFO)
        store.begin(RUNS, 0, HERE)
        store.fail([RUNS[0].id], "out of memory", "Traceback ...")
        assert store.failures() == {RUNS[0].id: "out of memory"}
        assert store.run(RUNS[0].id).summary.progress == "failed"
        store.begin(RUNS[:1], 2, HERE)
        assert store.failures() == {}
        for epoch in range(1, 5):
            store.record(ended(RUNS[0], epoch))
        store.record(RunFinished(RUNS[0].id, "finished", 4))
    first, second = store.run(RUNS[0].id).attempts
    assert (first.outcome, first.message, first.traceback) == ("failed", "out of memory", "Traceback ...")
    assert (second.outcome, second.message, second.start_epoch) == ("finished", None, 2)
    (third,) = store.run(RUNS[1].id).attempts
    assert third.outcome == "interrupted"


def test_a_grid_asked_for_again_with_other_datasets_grows(store: Store) -> None:
    mnist = small_study.grid("SGD", rows=(small_study.row("m" * 64, "MNIST"),))
    other = small_study.grid("SGD", epochs=5)
    with store.writing():
        store.save_grid(small_study.grid("SGD"), "asymbp reproduce --table 2")
        store.save_grid(mnist, "asymbp reproduce --table 2 --dataset mnist")
        store.save_grid(mnist, "asymbp reproduce --table 2 --dataset mnist")
        store.save_grid(other)
    both, last = store.grids()
    assert [row.label for row in both.rows] == ["digits", "MNIST"]
    assert both.columns == mnist.columns
    assert store.commands(mnist) == (
        "asymbp reproduce --table 2",
        "asymbp reproduce --table 2 --dataset mnist",
    )
    assert last == other
    assert store.commands(other) == ()


def test_datasets_come_back(store: Store) -> None:
    with store.writing():
        store.save_dataset(small_study.INFO)
        store.save_dataset(small_study.INFO.model_copy(update={"directory": "/moved"}))
    assert store.datasets()[small_study.INFO.fingerprint].directory == "/moved"


def test_foreign_keys_are_enforced(store: Store) -> None:
    with pytest.raises(StoreError, match="FOREIGN KEY"), store.writing():
        store.begin(RUNS, 0, HERE)  # whose dataset nobody has saved


def test_provenance_is_known_without_torch() -> None:
    script = (
        "import sys; from asymbp_cli.results.provenance import collect; p = collect('cpu');"
        "assert p.software['torch'] and p.host and p.device.startswith('cpu (');"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert collect("cuda:1", "NVIDIA H100, tf32").device == "cuda:1 (NVIDIA H100, tf32)"


def test_an_attempt_starts_once_its_worker_has_a_device(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    there = replace(HERE, host="node7")
    clock = iter([100.0, 700.0, 800.0])  # handed over, out of the queue, said again by the worker
    monkeypatch.setattr("asymbp_cli.results.store.time.time", lambda: next(clock, 900.0))
    with store.writing():
        store.save_dataset(small_study.INFO)
        store.begin([RUN], 0, HERE)
        store.record(WorkerFound((RUN.id,), there))
    (attempt,) = store.run(RUN.id).attempts
    assert attempt.started == 700.0


def test_an_attempt_has_what_its_worker_says_and_earlier_ones_keep_theirs(store: Store) -> None:
    there = Provenance("node7", "cuda:1 (a fast one)", {"torch": "3"}, None, 1, "AVX512")
    with store.writing():
        store.save_dataset(small_study.INFO)
        store.begin(RUNS, 0, HERE)
        store.fail([RUN.id], "lost")
        store.begin([RUN], 0, HERE)
        store.record(WorkerFound((RUN.id,), there))
    first, second = store.run(RUN.id).attempts
    (other,) = store.run(RUNS[1].id).attempts
    for attempt, said in ((first, HERE), (second, there), (other, HERE)):
        assert (attempt.host, attempt.device, attempt.git) == (said.host, said.device, said.git)
        assert (attempt.software, attempt.instruction_set) == (said.software, said.instruction_set)


@pytest.mark.parametrize(
    "change",
    [{"software": {"asymbp": "0.1.0"}}, {"semantics": 2}, {"software": {}}],
    ids=["version", "numbers", "none"],
)
def test_a_worker_of_another_version_is_refused(change: dict[str, Any]) -> None:
    ours = replace(HERE, software={"asymbp": "0.6.0", "torch": "2"})
    study = Program.of(ours)
    other = replace(ours, host="node7", device="cuda", software={"asymbp": "0.6.0", "torch": "3"})
    check_same_program("node7", Program.of(other), study)
    theirs = replace(ours, host="node7", **change)
    with pytest.raises(WorkerError) as caught:
        check_same_program("node7", Program.of(theirs), study)
    assert str(caught.value) == (
        f"the worker on node7 has asymbp {theirs.software.get('asymbp')} (semantics {theirs.semantics}), and the "
        "study is of asymbp 0.6.0 (semantics 1). Install the same version on all machines, then run the same "
        "command again"
    )


def test_the_best_epoch_is_the_one_with_the_lowest_held_out_error(begun: Store) -> None:
    for epoch, (wrong, held_out) in enumerate([(5, 9), (9, 3), (7, 3)], 1):
        begun.record(ended(epoch=epoch, wrong=wrong, validation_wrong=held_out, validation_seen=20))
    begun.flush()
    (summary,) = begun.runs(RUN.id)
    assert summary.best == (9, 360, 2)


def test_a_reworded_title_leaves_a_table_of_the_paper_whole(tmp_path: Path) -> None:
    first = small_study.grid("SGD")
    second = small_study.grid("SGD", rows=(small_study.row("e" * 64, "others"),))
    with Store.open(tmp_path) as store, store.writing():
        store.save_grid(first, "asymbp reproduce --table 2")
        store.save_grid(second.model_copy(update={"title": "In other words"}))
        (grid,) = store.grids()
        assert grid.title == "In other words"
        assert [row.label for row in grid.rows] == ["digits", "others"]
        assert store.commands(first) == ("asymbp reproduce --table 2",)


def test_selected_epochs_are_the_picked_one_and_the_last(begun: Store) -> None:
    for epoch, wrong in enumerate((30, 12, 12, 20), start=1):
        begun.record(ended(epoch=epoch, wrong=wrong))
        begun.record(ended(RUNS[1], epoch=epoch, wrong=40 - epoch))
    begun.flush()
    found = begun.selected([run.id for run in RUNS[:2]])
    assert [point.epoch for point in found[RUN.id]] == [2, 4]  # of equal ones the first
    assert [point.epoch for point in found[RUNS[1].id]] == [4]
    assert begun.selected(["unknown"]) == {}
