"""Stacks trained in this process and in workers: what is reported, and what ends them."""

import os
import signal
import time
from pathlib import Path

import fake_engine
import pytest
import small_study
from small_jobs import CPUS, RATES, WORKERS, facts, jobs, make, pids, reports

from asymbp_cli.errors import DataError, ran_out_of_memory
from asymbp_cli.events import EpochEnded, RunFinished
from asymbp_cli.executors import Failure, JobEnded, StackFailed, StackStarted, Train
from asymbp_cli.executors.processes import ProcessExecutor
from asymbp_cli.executors.retry import supervise


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
    found = reports(ProcessExecutor(CPUS, fake_engine.one_thread), jobs(tmp_path, replicas=1))
    assert len([report for report in found if isinstance(report, RunFinished)]) == len(RATES)
    assert len(list(tmp_path.glob("pid-*"))) == WORKERS


def test_what_the_user_can_mend_is_raised(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the cache has gone"):
        reports(make(kind, fake_engine.data_is_gone), jobs(tmp_path))


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (fake_engine.crashes, "the worker crashed (SIGSEGV)"),
        (fake_engine.exits, "the worker ended with exit code 3"),
    ],
)
def test_the_reason_of_a_death_is_named(tmp_path: Path, train: Train, message: str) -> None:
    found = reports(ProcessExecutor(["cpu"], train), jobs(tmp_path)[:1])
    first, second, third = [report for report in found if isinstance(report, StackFailed)]
    assert first.message == second.message == message
    assert third.message == f"{message}, in the last of 3 attempts. Allow more with --attempts N"


def test_cancelling_ends_the_workers_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_EPOCH_SECONDS", "30")
    executor = ProcessExecutor(CPUS, fake_engine.train)
    events = supervise(executor, jobs(tmp_path))
    small_study.wait_for(lambda: next(events) and len(pids(tmp_path)) == WORKERS)
    before = time.monotonic()
    executor.cancel()
    assert time.monotonic() - before < 2
    assert not any(map(small_study.alive, pids(tmp_path)))
    executor.cancel()  # twice does no harm


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


def test_an_executor_reports_a_failure_and_leaves_the_rest_to_others(kind: str, tmp_path: Path) -> None:
    (job, _) = jobs(tmp_path)
    executor = make(kind, fake_engine.breaks)
    assert list(executor.events()) == []  # no job has started
    executor.submit(job)
    *_, ended = executor.events()
    executor.cancel()
    assert isinstance(ended, JobEnded)
    assert isinstance(ended.failure, Failure)
    assert (ended.job, ended.failure.message) == (job, "RuntimeError: shapes do not fit")
    assert (ended.failure.out_of_memory, ended.failure.in_capture) == (False, False)


def test_a_worker_that_dies_while_it_is_idle_is_replaced(tmp_path: Path) -> None:
    first, second = jobs(tmp_path)
    executor = ProcessExecutor(["cpu"], fake_engine.train)
    try:
        list(supervise(executor, [first]))
        (pid,) = pids(tmp_path)
        os.kill(pid, signal.SIGKILL)
        small_study.wait_for(lambda: not small_study.alive(pid))
        events = list(supervise(executor, [second]))
    finally:
        executor.cancel()
    assert {event.run for event in events if isinstance(event, RunFinished)} == {r.id for r in second.stack.runs}
    assert [event.retrying for event in events if isinstance(event, StackFailed)] == [True]
    assert len(pids(tmp_path)) == 2
