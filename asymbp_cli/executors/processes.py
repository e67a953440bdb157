"""Trains in worker processes of one thread each, a stack at a time, each on a device of its own.

Every worker has a pipe of its own. One that dies takes nothing of the others with it, and closes its pipe: its
death is noticed at once. Workers ignore interruptions, which the parent handles, and end with the parent, even if
that is killed.
"""

import os
import queue
import signal
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from asymbp_cli.errors import AsymbpError, DeviceError
from asymbp_cli.events import CheckpointDue, CheckpointSaved, EpochKept, Event
from asymbp_cli.executors import STOPPING_SECONDS, Failure, Job, JobEnded, Train, describe_failure, explain
from asymbp_cli.executors.job import train as train_with_engine
from asymbp_cli.machine import cpu_limit, seconds_of_children
from asymbp_cli.spawn import delayed_interruptions, ignore_interruptions, spawn

_KILLED = -9  # exit code of a process that the system, or somebody, has killed
_NEARLY = 0.9  # of a limit: it is kept on another clock


@dataclass(frozen=True)
class _Ready:
    """A worker has trained its job, and waits for another one."""


@dataclass(frozen=True)
class _Answer:
    """The answer to `CheckpointDue`: whether the worker shall save later, since not everything is stored."""

    postponed: bool


@dataclass(frozen=True)
class _Stop:
    """A worker shall save the last finished epoch, and end."""


@dataclass
class _Worker:
    device: str
    process: SpawnProcess
    pipe: "Connection"
    heard: bool = False  # whether it has ever said anything
    job: Job | None = None
    unseen: Event | None = None  # received, but perhaps not seen by who asked for it, who was interrupted

    def end(self) -> None:
        """End the process at once; its checkpoints are replaced atomically."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


class ProcessExecutor:
    """An `Executor` with a process for each of `devices`, started when there is work for it.

    A job moves to the device of its worker. A worker whose job failed is never used again, and another one takes
    its device. A device that cannot be opened is not used again, unless it is the last one, whose error is raised.
    """

    fresh_processes = True

    def __init__(self, devices: Sequence[str], train: Train = train_with_engine) -> None:
        self._free = list(devices)  # without a worker
        self._train = train
        self._workers: list[_Worker] = []

    def adopt(self, wanted: Mapping[str, int], ended: Collection[str]) -> list[Job]:
        """Return nothing: no worker outlives its study."""
        return []

    @property
    def has_room(self) -> bool:
        """Return whether a worker is idle, or another one may be started."""
        return bool(self._free) or any(worker.job is None for worker in self._workers)

    def submit(self, job: Job) -> None:
        """Hand a job to an idle worker, or to a new one."""
        with delayed_interruptions():
            worker = next((worker for worker in self._workers if worker.job is None), None)
            if worker is None:
                worker = _Worker(self._free[0], *spawn(_work, self._train))
                self._workers.append(worker)
                del self._free[0]
            worker.job = replace(job, device=worker.device)
            with suppress(OSError):  # it is dead already, which `events` notices
                worker.pipe.send(worker.job)

    def events(self) -> Iterator[Event | JobEnded]:
        """Yield what the workers report until a job ends."""
        ended = False
        while not ended:
            busy = {worker.pipe: worker for worker in self._workers if worker.job}
            if not busy:
                return
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                with delayed_interruptions():
                    event = self._receive(worker)
                    worker.unseen = None if isinstance(event, JobEnded) else event
                yield event
                worker.unseen = None
                if isinstance(event, CheckpointDue):
                    with suppress(OSError):  # it is dead, which its closed pipe will show
                        worker.pipe.send(_Answer(event.postponed))
                ended = ended or isinstance(event, JobEnded)

    def stop(self) -> Iterator[Event]:
        """Let every worker save the last finished epoch; what it has sent before is yielded first."""
        last = time.monotonic() + STOPPING_SECONDS
        stopping = {worker.pipe: worker for worker in self._workers if worker.job}
        for worker in stopping.values():
            with suppress(OSError):  # it is dead, which its closed pipe will show
                worker.pipe.send(_Stop())
            if worker.unseen is not None:
                yield worker.unseen
        while stopping and (found := wait(list(stopping), max(last - time.monotonic(), 0))):
            for pipe in found:
                yield from self._drain(stopping, pipe)  # type: ignore[arg-type]

    def _drain(self, stopping: "dict[Connection, _Worker]", pipe: "Connection") -> Iterator[Event]:
        """Yield the next event of a worker that stops; forget it if it has ended."""
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            del stopping[pipe]
            return
        if not isinstance(message, _Ready | Failure | AsymbpError):
            yield message
        if isinstance(message, CheckpointDue):
            with suppress(OSError):
                pipe.send(_Answer(message.postponed))

    def cancel(self) -> None:
        """End all workers at once."""
        while self._workers:
            self._workers.pop().end()

    def _receive(self, worker: _Worker) -> Event | JobEnded:
        """Return the next event of a worker, or the end of its job. Raises AsymbpError as the job did."""
        job = worker.job
        assert job is not None
        try:
            message: Event | _Ready | Failure | AsymbpError = worker.pipe.recv()
            worker.heard = True
        except (EOFError, OSError):
            before = seconds_of_children()
            worker.process.join(1)  # it closed its pipe, so it is about to end by itself
            message = _explain_death(worker.process.exitcode, seconds_of_children() - before)
        if isinstance(message, DeviceError) and self._has_others:
            message = Failure(str(message), no_device=True)
        if isinstance(message, AsymbpError):
            raise message
        if isinstance(message, Failure):
            return JobEnded(job, self._give_up(worker, message))
        if isinstance(message, _Ready):
            worker.job = None
            return JobEnded(job)
        return message

    @property
    def _has_others(self) -> bool:
        """Return whether more than one device can still be used."""
        return len(self._workers) + len(self._free) > 1

    def _give_up(self, worker: _Worker, failure: Failure) -> Failure:
        """End a worker whose job failed, and return the failure; no other takes its device if that is the reason.

        A GPU whose worker died without a word counts as one that cannot be opened: it would take job after job.
        """
        if failure.lost_worker and not worker.heard and worker.device != "cpu" and self._has_others:
            message = f'the device "{worker.device}" cannot be used: {failure.message}'
            failure = Failure(message, no_device=True)
        self._workers.remove(worker)
        worker.end()
        if not failure.no_device:
            self._free.append(worker.device)
        return failure


def _explain_death(code: int | None, seconds: float) -> Failure:
    """Return why a worker died, by its exit code and the seconds that it has computed."""
    limit = cpu_limit()
    used_up = code == _KILLED and limit is not None and seconds > _NEARLY * limit
    if used_up:
        message = f"the worker has used up its processor time of {limit} s (ulimit -t)"
    elif code == _KILLED:
        message = "the worker was killed (SIGKILL), perhaps because memory ran out"
    elif code is not None and code < 0:
        message = f"the worker crashed ({signal.Signals(-code).name})"
    else:
        message = f"the worker ended with exit code {code}"
    return Failure(message, out_of_memory=code == _KILLED and not used_up, lost_worker=True)


class _Parent:
    """The parent of this worker. A thread receives what it sends, so that a worker in training can be stopped."""

    def __init__(self, pipe: "Connection") -> None:
        self._pipe = pipe
        self._sending = threading.Lock()
        self._received: queue.SimpleQueue[Job | _Answer] = queue.SimpleQueue()
        self.kept: EpochKept | None = None
        threading.Thread(target=self._listen, daemon=True).start()

    def receive(self) -> Job | _Answer:
        """Return the next job, or the answer to `CheckpointDue`."""
        return self._received.get()

    def send(self, message: Event | _Ready | Failure | AsymbpError) -> None:
        """Send what happened."""
        with self._sending:
            self._pipe.send(message)

    def _listen(self) -> None:
        """Hand on what the parent sends. End this process if it says so, or has ended itself."""
        try:
            while not isinstance(message := self._pipe.recv(), _Stop):
                self._received.put(message)
            self._stop()
        finally:
            os._exit(1)

    def _stop(self) -> None:
        """Save the last finished epoch, once the parent has stored everything that was sent."""
        with self._sending:  # nothing else from now on
            if self.kept is not None:
                self._pipe.send(CheckpointDue(self.kept.stack))
                if not self._pipe.recv().postponed:
                    self.kept.save()
                    self._pipe.send(CheckpointSaved(self.kept.runs, self.kept.epoch))
            os._exit(0)


def _work(pipe: "Connection", train: Train) -> None:
    """Train job after job, until the parent closes the pipe."""
    ignore_interruptions()
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")  # read when torch is imported
    with suppress(OSError):  # the parent has ended
        try:
            parent = _Parent(pipe)
        except Exception as error:  # no memory for its thread
            pipe.send(describe_failure(error))
            return
        while isinstance(job := parent.receive(), Job):
            _train_one(parent, job, train)


def _train_one(parent: _Parent, job: Job, train: Train) -> None:
    try:
        for event in train(job):
            if isinstance(event, EpochKept):
                parent.kept = event
                continue
            parent.send(event)
            if isinstance(event, CheckpointDue):
                event.postponed = parent.receive() != _Answer(False)
    except Exception as error:
        parent.send(explain(error))
    else:
        parent.kept = None
        parent.send(_Ready())
