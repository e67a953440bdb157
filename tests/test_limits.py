"""Limits that a machine or its administrator sets: each is named, with what raises it, and never a traceback."""

import errno
import itertools
import multiprocessing
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import small_study
from small_jobs import jobs, reports

from asymbp_cli.errors import StoreError, explain_limit
from asymbp_cli.events import EpochEnded, Event
from asymbp_cli.executors import Job, StackFailed, StudyEvent, processes
from asymbp_cli.executors.processes import ProcessExecutor

ROOT = Path(__file__).parents[1]
RECIPE = """
dataset: digits
network: {input: 8x8x1, layers: [FC 4, FC classes]}
method: [SGD, BM]
protocol: {extends: demo, epochs: 1, rate_multipliers: [1]}
"""


def train(directory: Path, limit: Callable[[], None]) -> "subprocess.CompletedProcess[str]":
    (directory / "two.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "asymbp_cli", "train", "--recipe", "two.yaml", "--workers", "2", "--quiet"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, preexec_fn=limit, timeout=120
    )


def allow(kind: int, most: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (most, most))


@pytest.mark.parametrize("most", [8, 12, 16])
def test_few_open_files(tmp_path: Path, most: int) -> None:
    done = train(tmp_path, allow(resource.RLIMIT_NOFILE, most))
    assert done.returncode == 2
    assert done.stderr.startswith("asymbp: a process may not open as many files as are needed here.")
    assert done.stderr.count("\n") == 1


def test_little_address_space(tmp_path: Path) -> None:
    """Too little for PyTorch's libraries, whose loader says so."""
    done = train(tmp_path, allow(resource.RLIMIT_AS, 600 << 20))
    assert done.returncode == 2
    assert done.stderr.startswith("asymbp: a process may not use as much memory as is needed here.")
    assert done.stderr.count("\n") == 1


def computes_for_ever(job: Job) -> "list[Event]":
    """Stand in for a training that is longer than its process may compute."""
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    while True:
        time.process_time()


def test_used_up_processor_time_is_not_taken_for_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cpu_limit", lambda: 1)
    work = jobs(tmp_path)[:1]
    found = reports(ProcessExecutor(["cpu"], computes_for_ever), work, attempts=2)  # type: ignore[arg-type]
    first, last = [report for report in found if isinstance(report, StackFailed)]
    assert first.message == "the worker has used up its processor time of 1 s (ulimit -t)"
    assert (first.remedy, last.remedy) == ("once more", None)


def test_a_killed_worker_has_perhaps_no_memory_whatever_the_processor_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for limit, seconds in ((None, 1e9), (100, 1.0)):
        monkeypatch.setattr(processes, "cpu_limit", lambda limit=limit: limit)
        failure = processes._explain_death(-9, seconds)
        assert failure.out_of_memory
        assert "perhaps because memory ran out" in failure.message


def test_a_worker_without_memory_for_its_thread_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(processes, "ignore_interruptions", lambda: None)
    monkeypatch.setattr(threading.Thread, "start", fail)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        processes._work(theirs, computes_for_ever)  # type: ignore[arg-type]
        assert "ulimit -v" in ours.recv().message


@pytest.mark.parametrize("workers", [1, 2])
def test_checkpoints_that_become_a_file_during_a_study(tmp_path: Path, workers: int) -> None:
    grid = small_study.grid(epochs=6)
    results = tmp_path / "results"
    names = (f"moved-{count}" for count in itertools.count())

    def spoil(event: StudyEvent) -> None:
        """Move the folder away in one step, as a worker may be writing into it."""
        if isinstance(event, EpochEnded) and (results / "checkpoints").is_dir():
            (results / "checkpoints").rename(tmp_path / next(names))
            (results / "checkpoints").touch()

    with pytest.raises(StoreError, match="checkpoints"):
        small_study.train(results, grid, workers=workers, on_event=spoil)
    with pytest.raises(StoreError, match="checkpoints is a file"):
        small_study.train(results, grid)
    (results / "checkpoints").unlink()
    assert small_study.train(results, grid).failed == {}


def test_errors_that_come_from_no_limit_are_none() -> None:
    assert explain_limit(OSError(errno.ENOENT, "no such file")) is None
    assert explain_limit(RuntimeError("shapes do not fit")) is None
    assert "no space left for here" in str(explain_limit(OSError(errno.ENOSPC, "No space left", "here")))
    for error in (MemoryError(), ImportError("lib.so: failed to map segment from shared object")):
        assert "ulimit -v" in str(explain_limit(error))
