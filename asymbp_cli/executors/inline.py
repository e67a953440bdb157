"""Trains in this process, one stack after the other."""

from collections.abc import Collection, Generator, Iterator, Mapping
from typing import cast

from asymbp_cli.errors import AsymbpError, PluginError
from asymbp_cli.events import CheckpointDue, CheckpointSaved, EpochKept, Event
from asymbp_cli.executors import Failure, Job, JobEnded, Train, describe_failure
from asymbp_cli.executors.job import train as train_with_engine
from asymbp_cli.machine import free_memory


class InlineExecutor:
    """An `Executor` without any process of its own.

    A failed capture of a CUDA graph is raised, since this process cannot use the GPU any more.
    """

    fresh_processes = False

    def __init__(self, train: Train = train_with_engine) -> None:
        self._train = train
        self._job: Job | None = None
        self._training: Iterator[Event] = iter(())
        self._kept: EpochKept | None = None

    def adopt(self, wanted: Mapping[str, int], ended: Collection[str]) -> list[Job]:
        """Return nothing: no worker outlives its study."""
        return []

    @property
    def has_room(self) -> bool:
        """Return whether no job has started."""
        return self._job is None

    def submit(self, job: Job) -> None:
        """Accept a job; `events` trains it."""
        self._job = job

    def events(self) -> Iterator[Event | JobEnded]:
        """Train the job that was submitted."""
        if self._job is None:
            return
        failure: Failure | None = None
        try:
            self._training = self._train(self._job)
            for event in self._training:
                if isinstance(event, EpochKept):
                    self._kept = event
                else:
                    yield event
        except PluginError as error:
            failure = describe_failure(error)
        except AsymbpError:
            raise
        except Exception as error:
            failure = describe_failure(error)
        ended = JobEnded(self._job, failure)
        self._job = self._kept = None
        self._training = iter(())  # with what it holds in memory
        free_memory()
        yield ended

    def stop(self) -> Iterator[Event]:
        """Save the last finished epoch."""
        if self._kept is not None:
            due = CheckpointDue(self._kept.stack)
            yield due
            if due.postponed:
                return
            self._kept.save()
            yield CheckpointSaved(self._kept.runs, self._kept.epoch)

    def cancel(self) -> None:
        """Stop after the last event of the training."""
        self._job = self._kept = None
        if isinstance(self._training, Generator):
            cast("Generator[Event]", self._training).close()
