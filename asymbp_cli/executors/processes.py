"""Trains in worker processes of one thread each, a stack at a time.

Every worker has a pipe of its own: one that dies, however it dies, takes nothing of the others with it, and
closes the pipe, which is how its death is noticed at once. Workers ignore Ctrl-C, which is the parent's to
handle, and end with the parent, even when that is killed.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from asymbp_cli.errors import AsymbpError, CaptureError, ran_out_of_memory
from asymbp_cli.events import CheckpointDue, RunFinished
from asymbp_cli.executors import Job, Report, StackFailed, Train, short, started
from asymbp_cli.executors.job import train as train_with_engine
from asymbp_cli.executors.retry import AGAIN, PLAINLY, SMALLER, Fitting, continued
from asymbp_cli.spawn import spawn
from asymbp_cli.specs.runs import Run

_KILLED = -9  # exit code of a process that the system, or somebody, has killed


@dataclass(frozen=True)
class _Done:
    """A worker is ready for another job."""


@dataclass(frozen=True)
class _Broken:
    """A worker died, or its job raised what it should not."""

    message: str
    traceback: str | None
    out_of_memory: bool = False
    in_capture: bool = False


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: "Connection"
    job: Job | None = None
    unfinished: dict[str, Run] = field(default_factory=dict)

    def end(self) -> None:
        """End the process at once; its checkpoints are replaced atomically."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


class ProcessExecutor:
    """An `Executor` with up to `workers` processes, started when there is work for them.

    A stack whose worker died or raised is tried once more by a fresh worker, from its last checkpoints and on CUDA
    without graphs; one that memory does not hold in halves, as often as that helps.
    """

    def __init__(self, workers: int, train: Train = train_with_engine) -> None:
        self._limit, self._train = workers, train
        self._waiting: deque[Job] = deque()
        self._workers: list[_Worker] = []
        self._retried: set[str] = set()  # runs
        self._fitting = Fitting()

    def submit(self, job: Job) -> None:
        """Queue a job."""
        self._waiting.append(job)

    def events(self) -> Iterator[Report]:
        """Yield what happens until every job is done or has failed."""
        while True:
            yield from self._hand_out()
            busy = {worker.pipe: worker for worker in self._workers if worker.job}
            if not busy:
                return
            for pipe in wait(list(busy)):
                yield from self._receive(busy[pipe])  # type: ignore[index]

    def cancel(self) -> None:
        """End all workers at once."""
        self._waiting.clear()
        while self._workers:
            self._workers.pop().end()

    def _hand_out(self) -> Iterator[Report]:
        while self._waiting:
            worker = next((worker for worker in self._workers if not worker.job), None)
            if worker is None:
                if len(self._workers) == self._limit:
                    return
                worker = _Worker(*spawn(_work, self._train))
                self._workers.append(worker)
            worker.job, *later = self._fitting.pieces(self._waiting.popleft())
            self._waiting.extendleft(reversed(later))
            job = worker.job
            worker.unfinished = {run.id: run for run in job.stack.runs}
            yield started(job)
            try:
                worker.pipe.send(job)
            except OSError:  # it is dead already
                yield from self._lost(worker)

    def _receive(self, worker: _Worker) -> Iterator[Report]:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._lost(worker)
            return
        if isinstance(message, AsymbpError):
            raise message
        if isinstance(message, _Broken):
            yield from self._lost(worker, message)
        elif isinstance(message, _Done):
            worker.job = None
        else:
            if isinstance(message, RunFinished):
                del worker.unfinished[message.run]
            yield message
            if isinstance(message, CheckpointDue):
                with suppress(OSError):  # should it be dead, its closed pipe will tell
                    worker.pipe.send(None)

    def _lost(self, worker: _Worker, why: _Broken | None = None) -> Iterator[Report]:
        """Report a dead worker, and queue its unfinished runs once more."""
        self._workers.remove(worker)
        worker.process.join(0 if why else 1)  # one that closed its pipe is about to end by itself
        code = worker.process.exitcode
        why = why or _Broken(_cause(code), None, out_of_memory=code == _KILLED)
        worker.end()
        if not worker.job or not worker.unfinished:
            return
        job, runs = worker.job, worker.unfinished
        remedy = self._remedy(job, runs, why)
        yield StackFailed(job.stack.id, tuple(runs), why.message, why.traceback, remedy)
        if remedy:
            plain = remedy != SMALLER and job.device.startswith("cuda")
            job = replace(job, graphs=job.graphs and not plain)
            self._waiting.extendleft(reversed(continued(job, runs)))

    def _remedy(self, job: Job, runs: Mapping[str, Run], why: _Broken) -> str | None:
        """Return what another attempt is to do differently; None if there is to be none."""
        if why.out_of_memory and self._fitting.too_large(job):
            return SMALLER
        if why.in_capture and self._fitting.uncapturable(job):
            return PLAINLY
        if not self._retried.isdisjoint(runs):
            return None
        self._retried |= set(runs)
        return AGAIN


def _cause(code: int | None) -> str:
    if code == _KILLED:
        return "the worker was killed (SIGKILL), perhaps because memory ran out"
    if code is not None and code < 0:
        return f"the worker crashed ({signal.Signals(-code).name})"
    return f"the worker ended with exit code {code}"


def _work(pipe: "Connection", train: Train) -> None:
    """Train job after job, until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")  # read when torch is imported
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent has gone
        while True:
            _train_one(pipe, pipe.recv(), train)


def _train_one(pipe: "Connection", job: Job, train: Train) -> None:
    try:
        for report in train(job):
            pipe.send(report)
            if isinstance(report, CheckpointDue):
                pipe.recv()  # the parent has stored everything
    except CaptureError as error:
        pipe.send(_Broken(str(error), traceback.format_exc(), ran_out_of_memory(error), in_capture=True))
    except AsymbpError as error:
        pipe.send(error)
    except Exception as error:
        pipe.send(_Broken(short(error), traceback.format_exc(), ran_out_of_memory(error)))
    else:
        pipe.send(_Done())


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
