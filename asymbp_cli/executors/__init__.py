"""Where stacks are trained: in this process, in worker processes, ...; one Protocol for all of them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from asymbp_cli.datasets.info import DataInfo
from asymbp_cli.events import CheckpointSaved, EpochEnded, Event
from asymbp_cli.runs import Stack


@dataclass(frozen=True)
class Job:
    """A stack with all that a process needs to train it; picklable."""

    stack: Stack
    info: DataInfo
    device: str
    checkpoints: Path
    checkpoint_seconds: float = 60.0


@dataclass(frozen=True)
class StackStarted:
    """An attempt at a stack's runs begins after `start_epoch`."""

    stack: str
    runs: tuple[str, ...]
    start_epoch: int


@dataclass(frozen=True)
class StackFailed:
    """An attempt ended by the machine's or the tool's fault; `runs` are those that were not done yet."""

    stack: str
    runs: tuple[str, ...]
    message: str
    traceback: str | None
    retrying: bool  # another attempt follows


@dataclass(frozen=True)
class CheckpointDue:
    """A stack may write checkpoints as soon as the next report is asked for: store what it has reported first."""

    stack: str


Report = Event | StackStarted | StackFailed | CheckpointDue

#: how a job is trained; a module-level function, so that worker processes find it
Train = Callable[[Job], Iterator[Event]]


class Executor(Protocol):
    """Trains the jobs that are submitted."""

    def submit(self, job: Job) -> None:
        """Queue a job."""

    def events(self) -> Iterator[Report]:
        """Yield what happens until every job is done or has failed. Raises AsymbpError as a job does."""

    def cancel(self) -> None:
        """Stop at once and free everything; also to be called at the end."""


def started(job: Job) -> StackStarted:
    """Return the fact that an attempt at `job` begins."""
    return StackStarted(job.stack.id, tuple(run.id for run in job.stack.runs), job.stack.start_epoch)


def announced(job: Job, events: Iterator[Event]) -> Iterator[Event | CheckpointDue]:
    """Pass on the events of a job, with a `CheckpointDue` after every epoch that checkpoints may follow.

    So no checkpoint is ever ahead of what is stored, whatever is killed when. They come at the end of an epoch,
    once `checkpoint_seconds` have gone since the last ones; a second of tolerance is for the way there.
    """
    saved, ended = time.monotonic(), 0
    for event in events:
        if isinstance(event, CheckpointSaved):
            saved = time.monotonic()
        yield event
        if isinstance(event, EpochEnded):
            ended += 1
            whole = ended % len(job.stack.runs) == 0
            if whole and time.monotonic() - saved >= job.checkpoint_seconds - 1:
                yield CheckpointDue(job.stack.id)


def short(error: BaseException) -> str:
    """Return an exception in one line."""
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}"[:300]
