"""The executors by name. A further one is a module with a class, and a line here."""

from collections.abc import Callable, Sequence

from asymbp_cli.errors import UsageError
from asymbp_cli.executors import Executor, Train
from asymbp_cli.executors.inline import InlineExecutor
from asymbp_cli.executors.processes import ProcessExecutor
from asymbp_cli.text import nearest


def _make_inline(devices: Sequence[str], train: Train) -> Executor:
    return InlineExecutor(train)


#: name -> function that makes the executor with a worker on each of some devices
EXECUTORS: dict[str, Callable[[Sequence[str], Train], Executor]] = {
    "inline": _make_inline,
    "processes": ProcessExecutor,
}


def choose_executor(devices: Sequence[str], jobs: int) -> str:
    """Return the name of the executor that fits devices and the number of jobs.

    A failed capture of a CUDA graph leaves its process unusable, so a GPU is used by a worker even if it is alone.
    """
    return "processes" if min(len(devices), jobs) > 1 or devices[0].startswith("cuda") else "inline"


def make_executor(name: str, devices: Sequence[str], train: Train) -> Executor:
    """Return a new executor; raises UsageError if none has the name."""
    if name not in EXECUTORS:
        raise UsageError(f'"{name}" is not an executor.{nearest(name, EXECUTORS)} Use {" or ".join(EXECUTORS)}')
    return EXECUTORS[name](devices, train)
