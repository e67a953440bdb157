"""What planning needs to know of a GPU, asked of a process that opens it, answers and ends.

The process of a command never opens a GPU itself: a GPU may admit one process only (exclusive compute mode), and
the memory and time that opening takes are better spent by the worker that trains.
"""

import sys
from functools import cache
from multiprocessing.connection import Connection

from asymbp_cli.errors import AsymbpError, DeviceError
from asymbp_cli.machine import DeviceFacts, free_memory
from asymbp_cli.spawn import spawn


@cache
def probe_device(name: str) -> DeviceFacts:
    """Return the facts of a device, asked once; raises DeviceError if it cannot be used."""
    process, pipe = spawn(_answer, name)
    try:
        found = pipe.recv()
    except (EOFError, OSError):
        process.join()
        found = DeviceError(f'the device "{name}" cannot be used: opening it ended a process ({process.exitcode})')
    finally:
        pipe.close()
    process.join()
    if isinstance(found, AsymbpError):
        raise found
    assert isinstance(found, DeviceFacts)
    return found


def facts_if_usable(name: str) -> DeviceFacts | None:
    """Return the facts of a device; None if it cannot be used, which its training will say.

    A process that works on the GPU itself, as a benchmark does, gives back what it keeps and answers for itself.
    """
    try:
        return _describe(name) if _works_on_gpus() else probe_device(name)
    except DeviceError:
        return None


def _works_on_gpus() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda.is_initialized()


def _describe(name: str) -> DeviceFacts:
    from asymbp_cli.training.device import describe

    free_memory()
    return describe(name)


def _answer(pipe: "Connection", name: str) -> None:
    try:
        pipe.send(_describe(name))
    except AsymbpError as error:
        pipe.send(error)
