"""A worker of Ray: an actor that trains one stack after the other, in a process of its own on some node."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asymbp_cli.executors import Train
from asymbp_cli.executors.remote import worker
from asymbp_cli.executors.remote.messages import Message
from asymbp_cli.executors.remote.package import Package


@dataclass(frozen=True)
class ArraysWanted:
    """The worker's machine does not have the dataset; the job is to be sent again, with its arrays."""


class _ArraysMissing(BaseException):
    """Ends a training that has not begun; no fault, so nothing on the way takes it for one."""


class Worker:
    """Trains in one thread, and is told to stop in another."""

    def __init__(self, folder: Path | None = None) -> None:
        os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")  # read when torch is imported
        self._folder = folder  # for what it writes; None: the machine's own for such files
        self._stopping = False

    def train(
        self, job: bytes, checkpoints: Mapping[str, bytes], arrays: Sequence[Any], train: Train
    ) -> Iterator[Message | ArraysWanted]:
        """Train the job of a package, and yield what to send; `arrays` has what is in Ray's store."""

        def fetch() -> Mapping[str, bytes]:
            if not arrays:
                raise _ArraysMissing
            import ray

            found: Mapping[str, bytes] = ray.get(arrays[0])
            return found

        package = Package(job, checkpoints)
        try:
            yield from worker.train_apart(
                package, self._folder, fetch, engine=train, stopping=lambda: self._stopping
            )  # `Ended` comes when the folder is gone: this process may be killed at once
        except _ArraysMissing:
            yield ArraysWanted()

    def stop(self) -> None:
        """Let the training send the last finished epoch, and end."""
        self._stopping = True
