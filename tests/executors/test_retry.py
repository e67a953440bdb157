"""What follows a failure: the same runs from their last checkpoints, in smaller stacks or without graphs."""

from dataclasses import replace
from pathlib import Path

import fake_engine
import pytest
from small_jobs import CPUS, facts, jobs, make, reports

from asymbp_cli.events import EpochEnded, RunFinished
from asymbp_cli.executors import Failure, Job, StackFailed, StackStarted, StudyEvent
from asymbp_cli.executors.inline import InlineExecutor
from asymbp_cli.executors.processes import ProcessExecutor
from asymbp_cli.executors.retry import Retries, supervise
from asymbp_cli.specs.runs import Stack


def test_any_other_exception_fails_its_runs_only(kind: str, tmp_path: Path) -> None:
    work = jobs(tmp_path)
    found = reports(make(kind, fake_engine.breaks), work)
    failures = [report for report in found if isinstance(report, StackFailed)]
    assert [failure.retrying for failure in failures] == ([False] if kind == "inline" else [True, False])
    for failure in failures:
        assert failure.runs == tuple(run.id for run in work[0].stack.runs)
        assert failure.message == "RuntimeError: shapes do not fit"
        assert "second line" in str(failure.traceback)
        assert "fake_engine.py" in str(failure.traceback)
    done = {report.run for report in found if isinstance(report, RunFinished)}
    assert done == {run.id for run in work[1].stack.runs}


def test_what_a_killed_worker_trained_goes_on_in_halves_from_the_last_checkpoint(tmp_path: Path) -> None:
    work = jobs(tmp_path)
    found = reports(ProcessExecutor(CPUS, fake_engine.killed_once), work)
    undisturbed = [event for job in jobs(tmp_path / "other") for event in fake_engine.train(job)]
    assert facts(found) == facts(list(undisturbed))
    failures = [report for report in found if isinstance(report, StackFailed)]
    assert len(failures) == len(work)
    assert all(failure.retrying for failure in failures)
    assert failures[0].message == "the worker was killed (SIGKILL), perhaps because memory ran out"
    starts = [report.start_epoch for report in found if isinstance(report, StackStarted)]
    assert sorted(starts) == [0, 0, 3, 3, 3, 3]  # memory may have run out


def test_checkpoints_of_different_epochs_are_continued_apart(tmp_path: Path) -> None:
    """A worker that is killed while it writes the checkpoints of a stack leaves some of them older."""
    job = jobs(tmp_path)[0]
    found = reports(ProcessExecutor(["cpu"], fake_engine.killed_while_saving), [job])
    undisturbed = list(fake_engine.train(jobs(tmp_path / "other")[0]))
    assert facts(found) == facts(undisturbed)
    starts = [(report.start_epoch, len(report.runs)) for report in found if isinstance(report, StackStarted)]
    assert sorted(starts) == [(0, 2), (2, 1), (3, 1)]


def test_runs_that_kill_their_workers_alone_and_again_fail(tmp_path: Path) -> None:
    work = jobs(tmp_path)
    found = reports(ProcessExecutor(CPUS, fake_engine.killed_always), work)
    failures = [report for report in found if isinstance(report, StackFailed)]
    told = {run.id: [f.retrying for f in failures if run.id in f.runs] for run in work[0].stack.runs}
    killer, other = told
    assert told == {killer: [True, True, False], other: [True]}  # together, alone, and alone once more
    assert {run for failure in failures for run in failure.runs} == set(told)
    ended = {e.run for e in found if isinstance(e, RunFinished)}
    assert ended == {other, *(run.id for run in work[1].stack.runs)}


def attempts(directory: Path) -> list[tuple[int, int, bool]]:
    """Return replicas, first epoch and whether graphs were used, of each attempt; none follows a failed one."""
    lines = [line.split() for line in (directory / "attempts").read_text().splitlines()]
    assert all(
        pid not in [later for *_, later in lines[i + 1 :]]
        for i, (*_, graphs, pid) in enumerate(lines)
        if graphs == "True"
    )
    return [(int(count), int(epoch), graphs == "True") for count, epoch, graphs, _ in lines]


def undisturbed(directory: Path, work: list[Job]) -> set[StudyEvent]:
    return {
        e for job in work for e in facts(list(fake_engine.train(replace(job, checkpoints=directory / "other"))))
    }


def test_a_capture_that_fails_ends_its_process_and_a_fresh_one_goes_on_without_graphs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CAPTURE_FAULT", "operation not permitted when stream is capturing")
    work = jobs(tmp_path, replicas=4)
    found = reports(ProcessExecutor(["cuda:0"], fake_engine.uncapturable), work)
    assert attempts(tmp_path) == [(4, 0, True), (4, 2, False)]  # from the checkpoint of epoch 2
    (failure,) = [report for report in found if isinstance(report, StackFailed)]
    assert failure.remedy == "without CUDA graphs"
    assert failure.message == (
        "a CUDA graph could not be captured (operation not permitted when stream is capturing)"
    )
    assert facts(found) == undisturbed(tmp_path, work)


def test_the_next_stack_of_the_kind_does_not_try_graphs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CAPTURE_FAULT", "not permitted")
    found = reports(ProcessExecutor(["cpu"], fake_engine.uncapturable), jobs(tmp_path, replicas=2))
    assert [graphs for _, _, graphs in attempts(tmp_path)] == [True, False, False]
    assert len([report for report in found if isinstance(report, StackFailed)]) == 1


def test_memory_that_is_too_small_for_a_capture_makes_stacks_smaller_then_does_without_graphs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CAPTURE_FAULT", "CUDA out of memory")
    work = jobs(tmp_path, replicas=2)[:1]
    found = reports(ProcessExecutor(["cpu"], fake_engine.uncapturable), work)
    assert attempts(tmp_path)[:3] == [(2, 0, True), (1, 2, True), (1, 2, False)]
    remedies = [report.remedy for report in found if isinstance(report, StackFailed)]
    assert remedies == ["in smaller stacks", "without CUDA graphs"]
    assert facts(found) == undisturbed(tmp_path, work)


def test_the_last_worker_for_runs_that_end_theirs_on_a_gpu_does_without_graphs(tmp_path: Path) -> None:
    work = jobs(tmp_path, replicas=4)
    found = reports(ProcessExecutor(["cuda:0"], fake_engine.crashes_in_graphs), work)
    assert attempts(tmp_path) == [(4, 0, True), (4, 2, True), (4, 2, False)]
    assert [report.remedy for report in found if isinstance(report, StackFailed)] == ["once more"] * 2
    assert facts(found) == undisturbed(tmp_path, work)


@pytest.mark.parametrize(
    ("failure", "graphs"),
    [
        (Failure("its node is gone", lost_worker=True), True),
        (Failure("told to stop", handed_back=True), True),
        (Failure("killed", lost_worker=True, out_of_memory=True), False),
        (Failure("no capture", in_capture=True), False),
        (Failure("RuntimeError: CUDA error"), False),
    ],
)
def test_graphs_are_kept_unless_the_failure_may_be_theirs(failure: Failure, graphs: bool, tmp_path: Path) -> None:
    job = replace(jobs(tmp_path, replicas=1)[0], device="cuda:0")
    failed, (following,) = Retries(fresh_processes=True).decide(job, {r.id: r for r in job.stack.runs}, failure)
    assert failed.retrying
    assert following.graphs is graphs


def test_jobs_that_never_come_to_the_end_of_an_epoch_need_more_time(tmp_path: Path) -> None:
    (job, *_), retries = jobs(tmp_path), Retries(fresh_processes=True, attempts=1)
    failed = decide(retries, job, Failure("the worker was told to stop", handed_back=True))
    assert failed.message == (
        "the worker was told to stop, in the last of 1 attempts. No epoch was done in it: give jobs more --time"
    )


@pytest.mark.parametrize("most", [1, 2])
def test_a_stack_that_does_not_fit_goes_on_in_halves(
    kind: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MOST_REPLICAS", str(most))
    (work,) = jobs(tmp_path, replicas=4)
    found = reports(make(kind, fake_engine.out_of_memory), [work])
    assert {e for e in facts(found) if isinstance(e, RunFinished)} == {
        e for e in facts(list(fake_engine.train(work))) if isinstance(e, RunFinished)
    }
    sizes = [(len(r.runs), r.start_epoch) for r in found if isinstance(r, StackStarted)]
    assert sizes[0] == (4, 0)
    assert set(sizes[1:]) <= {(2, 2), (1, 2)}  # after the checkpoint of epoch 2
    failures = [report for report in found if isinstance(report, StackFailed)]
    assert all(failure.retrying and "out of memory" in failure.message for failure in failures)
    last = {e.run: e for e in found if isinstance(e, EpochEnded)}  # with the numbers of an undisturbed training
    assert last == {
        e.run: e for e in facts(list(fake_engine.train(work))) if isinstance(e, EpochEnded) and e.epoch == 4
    }


def test_what_was_learned_of_memory_holds_for_the_next_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MOST_REPLICAS", "1")
    found = reports(InlineExecutor(fake_engine.out_of_memory), jobs(tmp_path, replicas=2))
    assert [len(r.runs) for r in found if isinstance(r, StackStarted)] == [2, 1, 1, 1, 1]
    assert len([r for r in found if isinstance(r, StackFailed)]) == 1


def test_a_single_run_that_does_not_fit_fails(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_MOST_REPLICAS", "0")
    found = reports(make(kind, fake_engine.out_of_memory), jobs(tmp_path, replicas=4))
    gone = [report for report in found if isinstance(report, StackFailed) and not report.retrying]
    assert sorted(run for report in gone for run in report.runs) == sorted(
        run.id for job in jobs(tmp_path, replicas=4) for run in job.stack.runs
    )


def test_what_did_not_fit_once_is_never_tried_again(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, replicas=4)
    retries = Retries(fresh_processes=False)
    full = Failure("out of memory", out_of_memory=True)
    two = replace(job, stack=Stack(job.stack.runs[:2]))
    for failed in (two, job):  # together
        assert decide(retries, failed, full).remedy == "in smaller stacks"
    assert [len(part.stack.runs) for part in retries.divide(job)] == [1, 1, 1, 1]
    other = tuple(
        run.model_copy(update={"protocol": run.protocol.model_copy(update={"batch_size": 7})})
        for run in job.stack.runs
    )
    assert len(retries.divide(replace(job, stack=Stack(other)))) == 1  # of another kind
    assert decide(retries, replace(job, stack=Stack(job.stack.runs[:1])), full).remedy is None


def decide(retries: Retries, job: Job, failure: Failure) -> StackFailed:
    failed, next_jobs = retries.decide(job, {run.id: run for run in job.stack.runs}, failure)
    assert bool(next_jobs) == failed.retrying
    return failed


def test_runs_that_lose_their_workers_go_on_from_their_checkpoints_several_times(tmp_path: Path) -> None:
    work = jobs(tmp_path)
    found = reports(ProcessExecutor(CPUS, fake_engine.exits_twice), work)
    assert facts(found) == undisturbed(tmp_path, work)
    for job in work:
        starts = [r.start_epoch for r in found if isinstance(r, StackStarted) and r.stack == job.stack.id]
        assert starts == [0, 2, 3]


@pytest.mark.parametrize(("attempts", "starts"), [(1, [0]), (2, [0, 2])])
def test_runs_that_lose_too_many_workers_fail_and_say_how_to_allow_more(
    attempts: int, starts: list[int], tmp_path: Path
) -> None:
    work = jobs(tmp_path)
    found = reports(ProcessExecutor(["cpu"], fake_engine.exits_twice), work, attempts)
    for job in work:  # the others are tried all the same
        begun = [r.start_epoch for r in found if isinstance(r, StackStarted) and r.stack == job.stack.id]
        *_, last = [r for r in found if isinstance(r, StackFailed) and r.stack == job.stack.id]
        assert begun == starts
        assert (last.remedy, last.runs) == (None, tuple(run.id for run in job.stack.runs))
        assert last.message == (
            f"the worker ended with exit code 3, in the last of {attempts} attempts. Allow more with --attempts N"
        )


def test_a_failure_of_the_training_is_tried_once_more_whatever_the_attempts(tmp_path: Path) -> None:
    found = reports(ProcessExecutor(["cpu"], fake_engine.breaks), jobs(tmp_path)[:1], attempts=9)
    assert [report.remedy for report in found if isinstance(report, StackFailed)] == ["once more", None]


def test_an_executor_that_loses_its_jobs_is_no_endless_loop(tmp_path: Path) -> None:
    executor = ProcessExecutor(["cpu"], fake_engine.train)
    events = supervise(executor, jobs(tmp_path)[:1])
    next(events)
    next(events)  # it trains
    executor.cancel()
    with pytest.raises(RuntimeError, match="no more events, though its jobs have not ended"):
        list(events)
