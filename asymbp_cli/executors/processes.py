"""Trains in worker processes of one thread each, a stack at a time.

Every worker has a pipe of its own. One that dies takes nothing of the others with it, and closes its pipe: its
death is noticed at once. Workers ignore interruptions, which the parent handles, and end with the parent, even if
that is killed.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from asymbp_cli.errors import AsymbpError, CaptureError
from asymbp_cli.events import CheckpointDue, Event
from asymbp_cli.executors import Failure, Job, JobEnded, Train, describe_failure
from asymbp_cli.executors.job import train as train_with_engine
from asymbp_cli.spawn import ignore_interruptions, spawn

_KILLED = -9  # exit code of a process that the system, or somebody, has killed


@dataclass(frozen=True)
class _Ready:
    """A worker has trained its job, and waits for another one."""


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: "Connection"
    job: Job | None = None

    def end(self) -> None:
        """End the process at once; its checkpoints are replaced atomically."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


class ProcessExecutor:
    """An `Executor` with up to `workers` processes, started when there is work for them.

    A worker whose job failed is never used again.
    """

    fresh_processes = True

    def __init__(self, workers: int, train: Train = train_with_engine) -> None:
        self._limit = workers
        self._train = train
        self._workers: list[_Worker] = []

    @property
    def has_room(self) -> bool:
        """Return whether a worker is idle, or another one may be started."""
        return len(self._workers) < self._limit or any(worker.job is None for worker in self._workers)

    def submit(self, job: Job) -> None:
        """Hand a job to an idle worker, or to a new one."""
        worker = next((worker for worker in self._workers if worker.job is None), None)
        if worker is None:
            worker = _Worker(*spawn(_work, self._train))
            self._workers.append(worker)
        worker.job = job
        with suppress(OSError):  # it is dead already, which `events` notices
            worker.pipe.send(job)

    def events(self) -> Iterator[Event | JobEnded]:
        """Yield what the workers report until a job ends."""
        ended = False
        while not ended:
            busy = {worker.pipe: worker for worker in self._workers if worker.job}
            if not busy:
                return
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                event = self._receive(worker)
                yield event
                if isinstance(event, CheckpointDue):
                    with suppress(OSError):  # it is dead, which its closed pipe will show
                        worker.pipe.send(None)
                ended = ended or isinstance(event, JobEnded)

    def cancel(self) -> None:
        """End all workers at once."""
        while self._workers:
            self._workers.pop().end()

    def _receive(self, worker: _Worker) -> Event | JobEnded:
        """Return what a worker reports, or how it died. Raises AsymbpError as its job did."""
        job = worker.job
        assert job is not None
        try:
            message: Event | _Ready | Failure | AsymbpError = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(1)  # it closed its pipe, so it is about to end by itself
            message = _explain_death(worker.process.exitcode)
        if isinstance(message, AsymbpError):
            raise message
        if isinstance(message, Failure):
            self._workers.remove(worker)
            worker.end()
            return JobEnded(job, message)
        if isinstance(message, _Ready):
            worker.job = None
            return JobEnded(job)
        return message


def _explain_death(code: int | None) -> Failure:
    """Return why a worker died, by its exit code."""
    if code == _KILLED:
        message = "the worker was killed (SIGKILL), perhaps because memory ran out"
    elif code is not None and code < 0:
        message = f"the worker crashed ({signal.Signals(-code).name})"
    else:
        message = f"the worker ended with exit code {code}"
    return Failure(message, out_of_memory=code == _KILLED)


def _work(pipe: "Connection", train: Train) -> None:
    """Train job after job, until the parent closes the pipe."""
    ignore_interruptions()
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")  # read when torch is imported
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent has ended
        while True:
            _train_one(pipe, pipe.recv(), train)


def _train_one(pipe: "Connection", job: Job, train: Train) -> None:
    try:
        for event in train(job):
            pipe.send(event)
            if isinstance(event, CheckpointDue):
                pipe.recv()  # the parent has stored everything
    except CaptureError as error:
        pipe.send(describe_failure(error))
    except AsymbpError as error:
        pipe.send(error)
    except Exception as error:
        pipe.send(describe_failure(error))
    else:
        pipe.send(_Ready())


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
