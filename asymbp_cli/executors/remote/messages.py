"""What a worker sends to the driver: events, files, and at last how its job ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from asymbp_cli.errors import AsymbpError
from asymbp_cli.events import Event
from asymbp_cli.executors import Failure

FileKind = Literal["checkpoints", "weights"]


@dataclass(frozen=True)
class FilesSent:
    """The files of one kind that an epoch has left, by run; everything up to that epoch was sent before."""

    kind: FileKind
    epoch: int
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Ended:
    """A job is over: all its runs have finished, unless it failed or met an error that the user can mend."""

    failure: Failure | None = None
    error: AsymbpError | None = None


#: a worker sends neither `CheckpointDue` nor `CheckpointSaved`, which are the driver's, nor `EpochKept`
Message = Event | FilesSent | Ended
