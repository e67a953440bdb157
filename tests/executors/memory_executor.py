"""An executor of remote workers without any other process: what a worker sends is handed to the driver at once."""

import tempfile
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from asymbp_cli.datasets.transfer import read_arrays
from asymbp_cli.events import Event
from asymbp_cli.executors import Job, JobEnded, Train
from asymbp_cli.executors.remote import worker
from asymbp_cli.executors.remote.driver import Receiver
from asymbp_cli.executors.remote.messages import Message
from asymbp_cli.executors.remote.package import pack


class MemoryExecutor:
    """Trains one job after the other; `stopping` is asked by the worker."""

    fresh_processes = True

    def __init__(self, workers: int, train: Train) -> None:
        self._workers, self._train = workers, train
        self._jobs: deque[Job] = deque()
        self.sent: list[Message] = []
        self.stopped = False

    def adopt(self, wanted: Mapping[str, int], ended: Collection[str]) -> list[Job]:
        return []

    @property
    def has_room(self) -> bool:
        return len(self._jobs) < self._workers

    def submit(self, job: Job) -> None:
        self._jobs.append(job)

    def events(self) -> Iterator[Event | JobEnded]:
        if not self._jobs:
            return
        job = self._jobs.popleft()
        receiver = Receiver(job)
        with tempfile.TemporaryDirectory() as folder:
            for message in worker.train(
                pack(job),
                Path(folder),
                lambda: read_arrays(job.info),
                train=self._train,
                stopping=lambda: self.stopped,
            ):
                self.sent.append(message)
                yield from receiver.take(message)

    def stop(self) -> Iterator[Event]:
        yield from ()

    def cancel(self) -> None:
        self._jobs.clear()
