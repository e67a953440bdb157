"""The executors by name. A further one is a module with a class, and a line here."""

from collections.abc import Callable

from asymbp_cli.errors import UsageError
from asymbp_cli.executors import Executor, Train
from asymbp_cli.executors.inline import InlineExecutor
from asymbp_cli.executors.processes import ProcessExecutor
from asymbp_cli.text import nearest


def _make_inline(workers: int, train: Train) -> Executor:
    return InlineExecutor(train)


def _make_processes(workers: int, train: Train) -> Executor:
    return ProcessExecutor(workers, train)


#: name -> function that makes the executor for so many workers
EXECUTORS: dict[str, Callable[[int, Train], Executor]] = {"inline": _make_inline, "processes": _make_processes}


def choose_executor(device: str, workers: int) -> str:
    """Return the name of the executor that fits a device.

    A failed capture of a CUDA graph leaves its process unusable, so a GPU is used by a worker even if it is alone.
    """
    return "processes" if workers > 1 or device.startswith("cuda") else "inline"


def make_executor(name: str, workers: int, train: Train) -> Executor:
    """Return a new executor; raises UsageError if none has the name."""
    if name not in EXECUTORS:
        raise UsageError(f'"{name}" is not an executor.{nearest(name, EXECUTORS)} Use {" or ".join(EXECUTORS)}')
    return EXECUTORS[name](workers, train)
