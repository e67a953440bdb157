"""Starting processes that have a pipe to this one, that no interruption reaches, and that import no stray file."""

import atexit
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from asymbp_cli.interruptions import interruptions


def spawn(target: Callable[..., None], *arguments: Any) -> tuple[SpawnProcess, "Connection"]:
    """Start a fresh process that runs `target(pipe, *arguments)`; return it and the other end of its pipe.

    It ends with this process; `target` must be a module-level function.
    """
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments), name="asymbp worker", daemon=True)
    with theirs, _safe_path(), _interruptions_held_back():
        process.start()
    atexit.register(process.kill)  # multiprocessing would only ask it to end
    return process, pipe


@contextmanager
def _safe_path() -> Iterator[None]:
    """Let a Python started meanwhile import no file of the working directory: it may hold a `signal.py`."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


@contextmanager
def _interruptions_held_back() -> Iterator[None]:
    """Block interruptions, which a process started meanwhile inherits: not even its start is interrupted."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # its start, else part of the first process's, would unblock SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, interruptions())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
