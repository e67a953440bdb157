"""Stacks trained in this process and in workers, and what happens when those die."""

import time
from dataclasses import replace
from pathlib import Path

import fake_engine
import pytest
import small_study

from asymbp_cli.errors import DataError, ran_out_of_memory
from asymbp_cli.events import EpochEnded, RunFinished
from asymbp_cli.executors import Executor, Failure, Job, JobEnded, StackFailed, StackStarted, StudyEvent, Train
from asymbp_cli.executors.inline import InlineExecutor
from asymbp_cli.executors.processes import ProcessExecutor
from asymbp_cli.executors.retry import Retries, supervise
from asymbp_cli.scheduling.stacks import plan_stacks
from asymbp_cli.specs.runs import Stack

WORKERS = 2
RATES = (100.0, 10.0, 1.0, 0.1)


def jobs(directory: Path, *, replicas: int = 2, seconds: float = 0.0, epochs: int = 4) -> list[Job]:
    """Return two stacks of two runs; the first holds the multiplier 100."""
    runs = small_study.grid("SGD", epochs=epochs, multipliers=RATES).all_runs().values()
    counts = {small_study.INFO.fingerprint: small_study.INFO.train_count}
    stacks = plan_stacks(runs, {}, counts, max_replicas=lambda run: replicas, workers=1)
    return [Job(stack, small_study.INFO, "cpu", directory, seconds) for stack in stacks]


def reports(executor: Executor, work: list[Job]) -> list[StudyEvent]:
    try:
        return list(supervise(executor, work))
    finally:
        executor.cancel()


def facts(found: list[StudyEvent]) -> set[StudyEvent]:
    """Return what the training said, whatever the order."""
    return {report for report in found if isinstance(report, EpochEnded | RunFinished)}


@pytest.fixture(params=["inline", "processes"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make(kind: str, train: Train) -> Executor:
    return InlineExecutor(train) if kind == "inline" else ProcessExecutor(WORKERS, train)


def test_all_events_of_all_jobs_arrive_and_those_of_a_stack_in_order(kind: str, tmp_path: Path) -> None:
    work = jobs(tmp_path)
    found = reports(make(kind, fake_engine.train), work)
    assert facts(found) == {e for job in work for e in facts(list(fake_engine.train(job)))}
    for job in work:
        ids = {run.id for run in job.stack.runs}
        own = [e.epoch for e in found if isinstance(e, EpochEnded) and e.run in ids]
        assert own == sorted(own)
    started = [report for report in found if isinstance(report, StackStarted)]
    assert [report.stack for report in started] == [job.stack.id for job in work]


def test_workers_have_one_thread_ignore_ctrl_c_and_are_kept(tmp_path: Path) -> None:
    found = reports(ProcessExecutor(WORKERS, fake_engine.one_thread), jobs(tmp_path, replicas=1))
    assert len([report for report in found if isinstance(report, RunFinished)]) == len(RATES)
    assert len(list(tmp_path.glob("pid-*"))) == WORKERS


def test_what_the_user_can_mend_is_raised(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the cache has gone"):
        reports(make(kind, fake_engine.data_is_gone), jobs(tmp_path))


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
    found = reports(ProcessExecutor(WORKERS, fake_engine.killed_once), work)
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
    found = reports(ProcessExecutor(1, fake_engine.killed_while_saving), [job])
    undisturbed = list(fake_engine.train(jobs(tmp_path / "other")[0]))
    assert facts(found) == facts(undisturbed)
    starts = [(report.start_epoch, len(report.runs)) for report in found if isinstance(report, StackStarted)]
    assert sorted(starts) == [(0, 2), (2, 1), (3, 1)]


def test_runs_that_kill_their_workers_alone_and_again_fail(tmp_path: Path) -> None:
    work = jobs(tmp_path)
    found = reports(ProcessExecutor(WORKERS, fake_engine.killed_always), work)
    failures = [report for report in found if isinstance(report, StackFailed)]
    told = {run.id: [f.retrying for f in failures if run.id in f.runs] for run in work[0].stack.runs}
    killer, other = told
    assert told == {killer: [True, True, False], other: [True]}  # together, alone, and alone once more
    assert {run for failure in failures for run in failure.runs} == set(told)
    ended = {e.run for e in found if isinstance(e, RunFinished)}
    assert ended == {other, *(run.id for run in work[1].stack.runs)}


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (fake_engine.crashes, "the worker crashed (SIGSEGV)"),
        (fake_engine.exits, "the worker ended with exit code 3"),
    ],
)
def test_the_reason_of_a_death_is_named(tmp_path: Path, train: Train, message: str) -> None:
    found = reports(ProcessExecutor(1, train), jobs(tmp_path)[:1])
    (first, _) = [report for report in found if isinstance(report, StackFailed)]
    assert first.message == message


def test_cancelling_ends_the_workers_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_EPOCH_SECONDS", "30")
    executor = ProcessExecutor(WORKERS, fake_engine.train)
    events = supervise(executor, jobs(tmp_path))
    small_study.wait_for(lambda: next(events) and len(pids(tmp_path)) == WORKERS)
    before = time.monotonic()
    executor.cancel()
    assert time.monotonic() - before < 2
    assert not any(map(small_study.alive, pids(tmp_path)))
    executor.cancel()  # twice does no harm


def pids(directory: Path) -> list[int]:
    return [int(path.name.removeprefix("pid-")) for path in directory.glob("pid-*")]


# graphs that cannot be captured --------------------------------------------------------------------------------


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
    work = [replace(job, device="cuda:0") for job in jobs(tmp_path, replicas=4)]
    found = reports(ProcessExecutor(1, fake_engine.uncapturable), work)
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
    found = reports(ProcessExecutor(1, fake_engine.uncapturable), jobs(tmp_path, replicas=2))
    assert [graphs for _, _, graphs in attempts(tmp_path)] == [True, False, False]
    assert len([report for report in found if isinstance(report, StackFailed)]) == 1


def test_memory_that_is_too_small_for_a_capture_makes_stacks_smaller_then_does_without_graphs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CAPTURE_FAULT", "CUDA out of memory")
    work = jobs(tmp_path, replicas=2)[:1]
    found = reports(ProcessExecutor(1, fake_engine.uncapturable), work)
    assert attempts(tmp_path)[:3] == [(2, 0, True), (1, 2, True), (1, 2, False)]
    remedies = [report.remedy for report in found if isinstance(report, StackFailed)]
    assert remedies == ["in smaller stacks", "without CUDA graphs"]
    assert facts(found) == undisturbed(tmp_path, work)


def test_a_worker_that_dies_on_a_gpu_is_replaced_by_one_without_graphs(tmp_path: Path) -> None:
    work = [replace(job, device="cuda:0") for job in jobs(tmp_path, replicas=4)]
    found = reports(ProcessExecutor(1, fake_engine.crashes_in_graphs), work)
    assert attempts(tmp_path) == [(4, 0, True), (4, 2, False)]
    assert [report.remedy for report in found if isinstance(report, StackFailed)] == ["once more"]
    assert facts(found) == undisturbed(tmp_path, work)


# memory that is too small ---------------------------------------------------------------------------------------


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


def test_torch_s_own_errors_are_recognized() -> None:
    import torch

    assert ran_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert ran_out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert ran_out_of_memory(caught.value)
    assert not ran_out_of_memory(RuntimeError("shapes do not fit"))
    for text in (
        "CUDA error: out of memory",
        "CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "MPS backend out of memory (MPS allocated: 9 GB)",
    ):
        assert ran_out_of_memory(RuntimeError(text))


def test_what_did_not_fit_once_is_never_tried_again(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, replicas=4)
    retries = Retries(fresh_processes=False)
    full = Failure("out of memory", out_of_memory=True)
    two = replace(job, stack=Stack(job.stack.runs[:2]))
    for failed in (two, job):  # together
        ((failure,), _) = retries.follow(JobEnded(failed, full), set())
        assert failure.remedy == "in smaller stacks"
    assert [len(part.stack.runs) for part in retries.divide(job)] == [1, 1, 1, 1]
    other = tuple(
        run.model_copy(update={"protocol": run.protocol.model_copy(update={"batch_size": 7})})
        for run in job.stack.runs
    )
    assert len(retries.divide(replace(job, stack=Stack(other)))) == 1  # of another kind
    alone = replace(job, stack=Stack(job.stack.runs[:1]))
    ((failure,), next_jobs) = retries.follow(JobEnded(alone, full), set())
    assert (failure.remedy, next_jobs) == (None, [])
