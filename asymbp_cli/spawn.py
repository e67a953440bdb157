"""Starting processes that have a pipe to this one, and that Ctrl-C does not reach."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any


def spawn(target: Callable[..., None], *arguments: Any) -> tuple[SpawnProcess, "Connection"]:
    """Start a fresh process that runs `target(pipe, *arguments)`; return it and the other end of its pipe.

    It ends with this process; `target` must be a module-level function.
    """
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments), name="asymbp worker", daemon=True)
    with theirs, _interrupts_held_back():
        process.start()
    return process, pipe


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Block SIGINT, which a process started meanwhile inherits: not even its start can be interrupted."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
