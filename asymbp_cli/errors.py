"""Everything that can go wrong in a way the user can mend: one message each, exit code 2."""

import errno
import re
from collections.abc import Iterable

#: how the allocator of the CPU, CUDA and MPS, cuBLAS and cuDNN say it
_OUT_OF_MEMORY = re.compile("can't allocate memory|out of memory|ALLOC_FAILED", re.IGNORECASE)

#: how the loader of libraries, and Python, say that a limit is reached
_NO_ADDRESS_SPACE = re.compile("failed to map segment|[Cc]annot (allocate memory|map)|can't start new thread")
_FULL = {errno.ENOSPC, errno.EDQUOT}
_TOO_MANY_FILES = {errno.EMFILE, errno.ENFILE}


class AsymbpError(Exception):
    """Base of every message a user can see: what happened, what is allowed, what to type next."""

    exit_code = 2


class UsageError(AsymbpError):
    """A command or an option asks for something that does not exist."""


class RecipeError(AsymbpError):
    """A recipe, protocol or table file is invalid; carries all its problems, one per line."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class NetworkError(AsymbpError):
    """A network's layers do not parse or do not fit its input."""


class DataError(AsymbpError):
    """A dataset is missing, incomplete or damaged."""


class MissingDataError(DataError):
    """A dataset is not in the data directory."""


class StoreError(AsymbpError):
    """The results directory cannot be read or written."""


class StoreLockedError(StoreError):
    """Another program has locked the database."""


class DeviceError(AsymbpError):
    """The device asked for does not exist here, or cannot be used."""


class MissingDeviceError(DeviceError):
    """There is no such device here."""


class WorkerError(AsymbpError):
    """A worker cannot train for this program: it would give other numbers."""


class PluginError(AsymbpError):
    """A plugin cannot be used: it does not load, or a function of it fails; names its file and line."""


class CaptureError(DeviceError):
    """A CUDA graph could not be captured: its process cannot use the GPU any more, a fresh one can."""


class StudyInterrupted(KeyboardInterrupt):
    """A study was interrupted; the text says what is kept of it."""


def ran_out_of_memory(error: BaseException) -> bool:
    """Return whether an error came from too little memory, a GPU's or the machine's.

    Memory may have run out inside something else, a CUDA graph's capture for instance, whose error hides it.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"OutOfMemoryError", "MemoryError"} or _OUT_OF_MEMORY.search(str(error)):
        return True
    behind = error.__cause__ or error.__context__
    return behind is not None and ran_out_of_memory(behind)


def explain_limit(error: BaseException) -> str | None:
    """Return which limit of the system an error comes from, and how to raise it; None if it comes from none."""
    number = error.errno if isinstance(error, OSError) else None
    if number in _TOO_MANY_FILES:
        return (
            "a process may not open as many files as are needed here. Allow more, for instance with ulimit -n 1024"
        )
    if number in _FULL:
        place = getattr(error, "filename", None)
        return f"no space left{f' for {place}' if place else ''}. Free some space, then run the same command again"
    texts = str(error) if isinstance(error, OSError | ImportError | RuntimeError) else ""
    if number == errno.ENOMEM or isinstance(error, MemoryError) or _NO_ADDRESS_SPACE.search(texts):
        return (
            "a process may not use as much memory as is needed here. Allow more, for instance with "
            "ulimit -v unlimited, or ask the scheduler of your cluster for more"
        )
    return None
