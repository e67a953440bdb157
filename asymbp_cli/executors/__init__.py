"""Where stacks are trained: in this process, in worker processes, ...; one Protocol for all of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from asymbp_cli.datasets.decoded import DataInfo
from asymbp_cli.events import Event
from asymbp_cli.specs.runs import Stack


@dataclass(frozen=True)
class Job:
    """A stack with all that a process needs to train it; picklable."""

    stack: Stack
    info: DataInfo
    device: str
    checkpoints: Path
    checkpoint_seconds: float = 60.0
    graphs: bool = True  # on CUDA


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
    remedy: str | None  # of the attempt that follows: "in smaller stacks"; None if there is none

    @property
    def retrying(self) -> bool:
        """Return whether another attempt follows."""
        return self.remedy is not None


Report = Event | StackStarted | StackFailed

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


def short(error: BaseException) -> str:
    """Return an exception in one line."""
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}"[:300]
