"""What planning needs to know of GPUs, asked of processes that open one each, answer and end.

The process of a command never opens a GPU itself: a GPU may admit one process only (exclusive compute mode), and
the memory and time that opening takes are better spent by the worker that trains.
"""

import sys
from collections.abc import Iterable
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from asymbp_cli.errors import AsymbpError, DeviceError
from asymbp_cli.machine import DeviceFacts, free_memory
from asymbp_cli.spawn import spawn

_usable: dict[str, DeviceFacts] = {}  # those that have been asked


def probe_devices(names: Iterable[str]) -> dict[str, DeviceFacts | AsymbpError]:
    """Return the facts of each device, or why it cannot be used; all are asked at once, and a usable one once."""
    names = tuple(dict.fromkeys(names))
    asked = {name: spawn(_answer, name) for name in names if name not in _usable}
    answers = {name: _receive(name, *process) for name, process in asked.items()}
    _usable.update((name, found) for name, found in answers.items() if isinstance(found, DeviceFacts))
    return {name: answers.get(name) or _usable[name] for name in names}


def probe_device(name: str) -> DeviceFacts:
    """Return the facts of a device; raises DeviceError if it cannot be used."""
    found = probe_devices([name])[name]
    if isinstance(found, AsymbpError):
        raise found
    return found


@cache
def list_gpus() -> tuple[str, ...]:
    """Return the names of all GPUs, asked once; raises DeviceError if there is none."""
    found = _receive("cuda", *spawn(_answer_all))
    if isinstance(found, AsymbpError):
        raise found
    names: tuple[str, ...] = found
    return names


def _receive(name: str, process: SpawnProcess, pipe: "Connection") -> Any:
    """Return the answer of a process about a device, or the error that ended it."""
    try:
        found = pipe.recv()
    except (EOFError, OSError):
        process.join()
        found = DeviceError(f'the device "{name}" cannot be used: opening it ended a process ({process.exitcode})')
    finally:
        pipe.close()
    process.join()
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


def _answer_all(pipe: "Connection") -> None:
    from asymbp_cli.training import device

    try:
        pipe.send(device.list_gpus())
    except AsymbpError as error:
        pipe.send(error)
