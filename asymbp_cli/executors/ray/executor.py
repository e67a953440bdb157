"""Trains every job in an actor of a Ray cluster.

Ray retries nothing by itself: a job whose worker dies has failed, and goes on from its last checkpoints elsewhere.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.transfer import read_arrays
from asymbp_cli.errors import AsymbpError
from asymbp_cli.events import Event
from asymbp_cli.executors import Job, JobEnded, StudyWaits, Train
from asymbp_cli.executors.ray.cluster import Cluster
from asymbp_cli.executors.ray.deaths import explain_death
from asymbp_cli.executors.ray.worker import ArraysWanted, Worker
from asymbp_cli.executors.remote.driver import Receiver
from asymbp_cli.executors.remote.messages import Ended, Message
from asymbp_cli.executors.remote.package import Package, pack
from asymbp_cli.spawn import delayed_interruptions

_LOOKING_SECONDS = 1.0
_CHECKING_SECONDS = 5.0  # between two questions whether the cluster answers
_SILENT_SECONDS = 30.0  # until it counts as gone; Ray itself would end this process after 60
_STARTING_SECONDS = 10.0  # of a worker, before its job goes to an idle one
_WAITING_SECONDS = 60.0  # for the first word of any worker, before the study says so
_STOPPING_SECONDS = 10.0
_MOST_MOVES = 3


@dataclass
class _Task:
    """A job, and what its worker is sent."""

    job: Job
    package: Package = field(init=False)
    receiver: Receiver = field(init=False)
    moves: int = 0  # from workers that died before they began

    def __post_init__(self) -> None:
        self.package, self.receiver = pack(self.job), Receiver(self.job)


@dataclass
class _Worker:
    actor: Any
    task: _Task | None = None
    stream: Any = None  # of messages
    heard: bool = False  # whether it has ever sent any: else it may still wait for a place in the cluster
    started: float = field(default_factory=time.monotonic)
    unseen: Message | ArraysWanted | None = None  # received, but perhaps not handled: an interruption came


def _died_early(worker: _Worker, message: Message) -> bool:
    """Return whether a worker has died before it said anything, which tells nothing about its job."""
    is_lost = isinstance(message, Ended) and message.failure is not None and message.failure.lost_worker
    return is_lost and not worker.heard


class RayExecutor:
    """An `Executor` with up to `workers` actors, started when there is work for them.

    A worker whose job failed is never used again.
    """

    fresh_processes = True

    def __init__(self, cluster: Cluster, resources: dict[str, float], workers: int, train: Train) -> None:
        self._cluster, self._ray, self._limit, self._train = cluster, cluster.ray, workers, train
        self._actor = cluster.ray.remote(Worker).options(
            num_cpus=resources["CPU"],
            num_gpus=resources.get("GPU", 0),
            memory=resources.get("memory"),
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=2,  # training, and being told to stop
        )
        self._workers: list[_Worker] = []
        self._arrays: dict[str, Any] = {}  # in Ray's store, by fingerprint
        self._checked = time.monotonic()
        self._silent: float | None = None  # since when the cluster does not answer
        self._said = False  # that it waits for a place

    def adopt(self, wanted: Mapping[str, int], ended: Collection[str]) -> list[Job]:
        """Return no job: Ray ends the workers of a driver that is gone."""
        return []

    @property
    def has_room(self) -> bool:
        """Return whether a worker is idle, or another one may be started."""
        return len(self._busy) < self._limit

    @property
    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.task]

    def submit(self, job: Job) -> None:
        """Hand a job to an idle worker, or to a new one."""
        task = _Task(job)
        with delayed_interruptions():
            self._place(task)

    def _place(self, task: _Task) -> None:
        worker = next((worker for worker in self._workers if not worker.task), None)
        if worker is None:
            worker = _Worker(self._actor.remote(self._cluster.folder))
            self._workers.append(worker)
        self._begin(worker, task)

    def _begin(self, worker: _Worker, task: _Task, arrays: Sequence[Any] = ()) -> None:
        """Send a job to a worker. What is inside `arrays` stays in Ray's store until the worker wants it."""
        train = worker.actor.train.options(num_returns="streaming")
        package = task.package
        worker.task = task
        worker.stream = train.remote(package.job, dict(package.checkpoints), list(arrays), self._train)

    def events(self) -> Iterator[Event | JobEnded | StudyWaits]:
        """Yield what the workers send, until a job ends. Raises AsymbpError if the cluster is gone."""
        ended = False
        while self._busy and not ended:
            self._check()
            self._relieve()
            if self._waits_in_vain() and not self._said:
                self._said = True
                yield StudyWaits(f"{self._cluster.name} has no place for a worker yet")
            for worker in self._wait(self._busy, _LOOKING_SECONDS):
                for event in self._read(worker):
                    ended = ended or isinstance(event, JobEnded)
                    yield event

    def _check(self) -> None:
        """Raise AsymbpError once the cluster has not answered for long."""
        now = time.monotonic()
        if now - self._checked < _CHECKING_SECONDS:
            return
        self._checked = now
        if self._cluster.answers():
            self._silent = None
        elif self._silent is None:
            self._silent = now
        elif now - self._silent > _SILENT_SECONDS:
            raise self._cluster.explain_end()

    def _relieve(self) -> None:
        """Let idle workers train what waits in vain for another place in the cluster."""
        latest = time.monotonic() - _STARTING_SECONDS
        for waiting in [worker for worker in self._busy if not worker.heard and worker.started < latest]:
            if waiting.task and any(worker.task is None for worker in self._workers):
                self._end(waiting)
                self._place(waiting.task)

    def _waits_in_vain(self) -> bool:
        """Return whether all workers have waited for a place for long."""
        latest = time.monotonic() - _WAITING_SECONDS
        return all(not worker.heard and worker.started < latest for worker in self._workers)

    def _wait(self, workers: Sequence[_Worker], seconds: float) -> list[_Worker]:
        """Return the workers that have sent something, after some seconds at the latest."""
        by_stream = {worker.stream: worker for worker in workers}
        try:
            ready, _ = self._ray.wait(list(by_stream), timeout=seconds)
            if ready:  # perhaps not the only one
                ready, _ = self._ray.wait(list(by_stream), num_returns=len(by_stream), timeout=0)
        except OSError as error:  # the node of this machine has ended
            raise self._cluster.explain_end() from error
        return [by_stream[stream] for stream in ready]

    def _read(self, worker: _Worker) -> Iterator[Event | JobEnded]:
        """Yield what the next message of a worker means."""
        task = worker.task
        assert task is not None
        with delayed_interruptions():
            message = worker.unseen = self._receive(worker)
        if isinstance(message, ArraysWanted):
            self._begin(worker, task, [self._put(task.job.info)])
        elif _died_early(worker, message) and task.moves < _MOST_MOVES:
            task.moves += 1
            self._end(worker)
            self._place(task)
        else:
            worker.heard = True
            yield from task.receiver.take(message)
            if isinstance(message, Ended):
                worker.task = worker.stream = None
                if message.failure or message.error:
                    self._end(worker)
        worker.unseen = None

    def _receive(self, worker: _Worker) -> Message | ArraysWanted:
        """Return the message of a worker, or its death. Raises AsymbpError if no worker can start."""
        try:
            message: Message | ArraysWanted = self._ray.get(next(worker.stream))
        except (StopIteration, self._ray.exceptions.RayError) as error:
            return Ended(explain_death(error))
        return message

    def _put(self, info: DecodedDataset) -> Any:
        """Return the reference to a dataset's arrays in Ray's store; they are put there once."""
        if info.fingerprint not in self._arrays:
            self._arrays[info.fingerprint] = self._ray.put(read_arrays(info))
        return self._arrays[info.fingerprint]

    def _end(self, worker: _Worker) -> None:
        """End a worker at once."""
        if worker in self._workers:
            self._workers.remove(worker)
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(worker.actor)

    def stop(self) -> Iterator[Event]:
        """Let every worker send the last finished epoch; what it has sent before is yielded first."""
        last = time.monotonic() + _STOPPING_SECONDS
        stopping = [worker for worker in self._busy if worker.heard]
        for worker in stopping:
            worker.actor.stop.remote()
        for worker in stopping:
            yield from self._take_last(worker)
        with suppress(AsymbpError):
            while (left := [worker for worker in stopping if worker.task]) and time.monotonic() < last:
                for worker in self._wait(left, max(last - time.monotonic(), 0)):
                    with delayed_interruptions():
                        worker.unseen = self._receive(worker)
                    yield from self._take_last(worker)

    def _take_last(self, worker: _Worker) -> Iterator[Event]:
        """Yield what a message means to a study that ends."""
        message, worker.unseen = worker.unseen, None
        if isinstance(message, ArraysWanted):
            worker.task = None
        elif message and worker.task:
            with suppress(AsymbpError):  # of the job
                yield from (e for e in worker.task.receiver.take(message) if not isinstance(e, JobEnded))
            if isinstance(message, Ended):
                worker.task = None

    def cancel(self) -> None:
        """End all workers at once, and leave the cluster."""
        while self._workers:
            self._end(self._workers[-1])
        self._arrays.clear()
        self._cluster.close()
