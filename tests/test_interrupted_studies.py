"""Studies that something ends early: a failure, an interruption, a kill, a full disk; and what is done then."""

from contextlib import suppress
from pathlib import Path

import fake_engine
import pytest
import small_study

from asymbp_cli import study
from asymbp_cli.errors import (
    DataError,
    StoreError,
    StudyInterrupted,
    WorkerError,
)
from asymbp_cli.events import CheckpointSaved, Progress
from asymbp_cli.executors import StackFailed, StackStarted, StudyEvent
from asymbp_cli.results.store import Store
from asymbp_cli.training import resume

GRID = small_study.grid()
RUNS = GRID.all_runs()


def test_failed_runs_are_told_kept_and_tried_again_by_the_next_command(tmp_path: Path) -> None:
    grid = small_study.grid("SGD", multipliers=(100.0, 1.0))
    outcome = small_study.train(tmp_path, grid, train=fake_engine.breaks, max_replicas=lambda run: 1)
    (bad,) = [run for run in grid.all_runs().values() if run.rate_multiplier == 100]
    assert outcome.failed == {bad.id: "RuntimeError: shapes do not fit"}
    assert len(outcome.finished) == 1
    with Store.open(tmp_path, create=False) as store:
        assert store.failures() == outcome.failed
        assert "fake_engine.py" in str(store.run(bad.id).attempts[-1].traceback)
    again = small_study.train(tmp_path, grid)
    assert (again.finished, again.failed) == ((bad.id,), {})
    assert [len(epochs) for epochs in small_study.numbers(tmp_path).values()] == [4, 4]


def test_a_worker_that_is_killed_leaves_no_trace_in_the_numbers(tmp_path: Path) -> None:
    reports: list[StudyEvent] = []
    outcome = small_study.train(
        *(tmp_path / "killed", GRID),
        train=fake_engine.killed_once,
        workers=2,
        checkpoint_seconds=0.0,
        on_event=reports.append,
    )
    small_study.train(tmp_path / "whole", GRID)
    assert any(isinstance(report, StackFailed) for report in reports)
    assert outcome.failed == {}
    assert small_study.numbers(tmp_path / "killed") == small_study.numbers(tmp_path / "whole")
    with Store.open(tmp_path / "killed", create=False) as store:
        attempts = store.run(outcome.finished[0]).attempts
    assert [(attempt.outcome, attempt.start_epoch) for attempt in attempts] == [("failed", 0), ("finished", 3)]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_the_user_can_mend_ends_the_study(tmp_path: Path, workers: int) -> None:
    with pytest.raises(DataError, match="the cache has gone"):
        small_study.train(tmp_path, GRID, train=fake_engine.data_is_gone, workers=workers)
    with Store.open(tmp_path, create=False) as store:
        assert {a.outcome for summary in store.runs() for a in store.run(summary.id).attempts} == {"interrupted"}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_keeps_what_was_received_and_goes_on_from_the_checkpoint(
    tmp_path: Path, workers: int
) -> None:
    grid = small_study.grid(epochs=6)

    def interrupt(report: StudyEvent) -> None:
        if isinstance(report, CheckpointSaved) and report.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small_study.train(tmp_path / "a", grid, workers=workers, checkpoint_seconds=0.0, on_event=interrupt)
    assert max(map(len, small_study.numbers(tmp_path / "a").values())) >= 3
    starts: list[StudyEvent] = []
    small_study.train(tmp_path / "a", grid, workers=workers, on_event=starts.append)
    assert max(report.start_epoch for report in starts if isinstance(report, StackStarted)) >= 3
    small_study.train(tmp_path / "b", grid)
    assert small_study.numbers(tmp_path / "a") == small_study.numbers(tmp_path / "b")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_keeps_the_last_finished_epoch(
    tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_EPOCH_SECONDS", "0.1")
    grid = small_study.grid("SGD", epochs=6)
    seen: list[StudyEvent] = []

    def interrupt(report: StudyEvent) -> None:
        seen.append(report)
        if isinstance(report, Progress) and report.epoch == 4:
            raise KeyboardInterrupt

    with pytest.raises(StudyInterrupted, match=r"^\d runs? goe?s? on after epochs? (\d to )?[23]"):
        small_study.train(tmp_path / "a", grid, workers=workers, on_event=interrupt)
    assert not any(isinstance(report, CheckpointSaved) for report in seen)
    with Store.open(tmp_path / "a") as store:
        starts = study.plan_work([grid], store).start_epochs
        assert max(starts.values()) == 3
        assert all(
            epoch in (0, stored)
            for epoch, stored in zip(starts.values(), store.epochs_stored(starts).values(), strict=True)
        )
    small_study.train(tmp_path / "a", grid)
    small_study.train(tmp_path / "b", grid)
    assert small_study.numbers(tmp_path / "a") == small_study.numbers(tmp_path / "b")


def test_a_full_disk_ends_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr(Store, "fail", full)
    with pytest.raises(StoreError, match="no space left"):
        small_study.train(tmp_path, small_study.grid(multipliers=(100.0,)), train=fake_engine.breaks)


def test_a_checkpoint_ahead_of_the_store_is_not_used(tmp_path: Path) -> None:
    """Going on from there would leave a gap in the stored epochs."""
    grid = small_study.grid("SGD", multipliers=(1.0,), epochs=6)
    (run,) = grid.all_runs()

    def interrupt(report: StudyEvent) -> None:
        if isinstance(report, CheckpointSaved) and report.epoch == 4:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        small_study.train(tmp_path, grid, checkpoint_seconds=0.0, on_event=interrupt)
    with Store.open(tmp_path) as store:
        assert study.plan_work([grid], store).start_epochs == {run: 4}
        store._connection.execute("DELETE FROM epochs WHERE epoch = 4")
        assert study.plan_work([grid], store).start_epochs == {run: 0}
    small_study.train(tmp_path, grid)
    assert len(small_study.numbers(tmp_path)[run]) == 6


def test_what_a_killed_process_left_is_tidied(tmp_path: Path) -> None:
    small_study.train(tmp_path, GRID)
    (done, *_) = RUNS
    directory = tmp_path / "checkpoints"
    (directory / f".{done}.safetensors.123").touch()
    resume.checkpoint_path(directory, done).touch()
    small_study.train(tmp_path, GRID)
    assert small_study.checkpoints(tmp_path) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_of_another_version_ends_the_study(tmp_path: Path, workers: int) -> None:
    with pytest.raises(WorkerError, match=r"the worker on node7 has asymbp 0\.1\.0 .* the study is of asymbp"):
        small_study.train(tmp_path, GRID, train=fake_engine.of_another_version, workers=workers)
    with Store.open(tmp_path, create=False) as store:
        assert store.states() == {}
        assert "node7" not in {attempt.host for attempt in store.attempts(RUNS)}


def test_a_study_allows_so_many_attempts(tmp_path: Path) -> None:
    outcomes = [
        small_study.train(
            *(tmp_path / f"{attempts}", GRID),
            train=fake_engine.exits_twice,
            workers=2,
            attempts=attempts,
            checkpoint_seconds=0.0,
        )
        for attempts in (2, 3)
    ]
    assert [len(outcome.failed) for outcome in outcomes] == [len(RUNS), 0]
    assert all("in the last of 2 attempts" in message for message in outcomes[0].failed.values())
