"""Where stacks are trained: in this process, in worker processes, ...; one Protocol for all of them.

An executor runs jobs and reports; what follows a failure is decided once, in `retry.supervise`.
"""

import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.errors import AsymbpError, CaptureError, PluginError, explain_limit, ran_out_of_memory
from asymbp_cli.events import Event
from asymbp_cli.specs.references import Plugin
from asymbp_cli.specs.runs import Stack
from asymbp_cli.training.weight_files import KeepWeights

STOPPING_SECONDS = 1.5
ATTEMPTS = 3  # at runs whose workers are lost
_LONGEST_MESSAGE = 300  # characters


@dataclass(frozen=True)
class Job:
    """A stack with all that a process needs to train it; picklable."""

    stack: Stack
    info: DecodedDataset
    device: str
    checkpoints: Path
    checkpoint_seconds: float = 60.0
    graphs: bool = True  # on CUDA
    keep: KeepWeights | None = None
    plugins: tuple[Plugin, ...] = ()  # whose names its runs use


@dataclass(frozen=True)
class Failure:
    """Why an attempt at a job failed, by the fault of the machine, the tool or a plugin."""

    message: str
    traceback: str | None = None
    out_of_memory: bool = False
    in_capture: bool = False  # of a CUDA graph: the process cannot use the GPU any more
    in_plugin: bool = False  # another attempt would fail likewise
    lost_worker: bool = False  # its process died, or its machine vanished: perhaps no fault of the runs
    no_device: bool = False  # the worker could not open its device, which the executor uses no more
    handed_back: bool = False  # the worker's time was up, or its place was taken: the attempt does not count


@dataclass(frozen=True)
class JobEnded:
    """An attempt at a job is over: all its runs have finished if there is no failure."""

    job: Job
    failure: Failure | None = None
    error: AsymbpError | None = None  # behind the failure: the worker's machine cannot train, perhaps others can


@dataclass(frozen=True)
class StackStarted:
    """An attempt at a stack's runs begins after `start_epoch`."""

    stack: str
    runs: tuple[str, ...]
    start_epoch: int


@dataclass(frozen=True)
class StackFailed:
    """An attempt at a stack failed; `runs` are those that had not finished."""

    stack: str
    runs: tuple[str, ...]
    message: str
    traceback: str | None
    remedy: str | None  # of the attempt that follows: "in smaller stacks"; None if there is none

    @property
    def retrying(self) -> bool:
        """Return whether another attempt follows."""
        return self.remedy is not None


@dataclass(frozen=True)
class StudyWaits:
    """The study waits for something; training goes on meanwhile, until it needs that."""

    message: str


StudyEvent = Event | StackStarted | StackFailed | StudyWaits

#: how a job is trained; a module-level function, so that worker processes find it
Train = Callable[[Job], Iterator[Event]]


class Executor(Protocol):
    """Trains jobs, each in a single attempt."""

    #: whether a failed job ends its process, so that another attempt starts in a fresh one
    fresh_processes: bool

    def adopt(self, wanted: Mapping[str, int], ended: Collection[str]) -> list[Job]:
        """Take over the jobs that a killed study left running, and return them: those whose runs are `wanted`.

        These have a checkpoint of that epoch here, or none (0): a job that is behind it is not taken. Runs that
        have `ended` are left out. An executor whose workers end with the study has no such jobs.
        """

    @property
    def has_room(self) -> bool:
        """Return whether another job can start now."""

    def submit(self, job: Job) -> None:
        """Start a job; only if `has_room`."""

    def events(self) -> Iterator[Event | JobEnded | StudyWaits]:
        """Yield what happens until a job ends; nothing if none runs. Raises AsymbpError as a job does."""

    def stop(self) -> Iterator[Event | StudyWaits]:
        """Save the last finished epoch of every stack within `STOPPING_SECONDS`. Nothing trains after that.

        Yields what happens meanwhile; a `StudyWaits` says what may be left. Events may come twice. Only `cancel`
        may follow.
        """

    def cancel(self) -> None:
        """Stop at once and free everything; also to be called at the end."""


def explain(error: Exception) -> Failure | AsymbpError:
    """Explain an exception, which is being handled: a failure of its job, or an error that the user can mend."""
    if isinstance(error, AsymbpError) and not isinstance(error, CaptureError | PluginError):
        return error
    return describe_failure(error)


def describe_failure(error: BaseException) -> Failure:
    """Return the failure of a job that an exception means, which is being handled."""
    return Failure(
        str(error) if isinstance(error, AsymbpError) else explain_limit(error) or _shorten(error),
        traceback.format_exc(),
        out_of_memory=ran_out_of_memory(error),
        in_capture=isinstance(error, CaptureError),
        in_plugin=isinstance(error, PluginError),
    )


def _shorten(error: BaseException) -> str:
    """Return an exception in one line."""
    first_line = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first_line}"[:_LONGEST_MESSAGE]
