"""Starting processes that no interruption reaches and that import no stray file; the signals that interrupt."""

import atexit
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

if TYPE_CHECKING:  # `asymbp` is to handle signals before anything large is imported
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

#: by `spawn`; one that nobody needs any more is forgotten, with its two pipes to this process
_started: "WeakSet[SpawnProcess]" = WeakSet()


def interruptions() -> tuple[signal.Signals, ...]:
    """Return the signals of Ctrl-C, of kill and schedulers, and of a closed terminal, which Windows has not."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


def ignore_interruptions() -> None:
    """Ignore them in this process from now on."""
    for number in interruptions():
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def delayed_interruptions(*, most: int = 0) -> Iterator[None]:
    """Let an interruption wait until the end of something short that must not be left half done.

    If `most` is given and there are alarms (not on Windows), it waits for so many seconds at most.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone is interrupted
        yield
        return
    received: list[tuple[int, FrameType | None]] = []
    before = {number: signal.getsignal(number) for number in interruptions()}
    handled = {number: handler for number, handler in before.items() if callable(handler)}
    bounds = most > 0 and hasattr(signal, "alarm")

    def note(number: int, frame: FrameType | None) -> None:
        received.append((number, frame))
        if bounds:
            signal.alarm(most)

    def pass_on(*_: object) -> None:
        noted, received[:] = received[:1], []
        for number, frame in noted:
            handled[signal.Signals(number)](number, frame)

    for number in handled:
        signal.signal(number, note)
    alarmed = signal.signal(signal.SIGALRM, pass_on) if bounds else None
    try:
        yield
    finally:
        if bounds:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, alarmed or signal.SIG_DFL)
        for number, handler in handled.items():
            signal.signal(number, handler)
        pass_on()


def spawn(target: Callable[..., None], *arguments: Any) -> "tuple[SpawnProcess, Connection]":
    """Start a fresh process that runs `target(pipe, *arguments)`; return it and the other end of its pipe.

    It ends with this process; `target` must be a module-level function. The main script is imported there only if
    something of it is handed over.
    """
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments), name="asymbp worker", daemon=True)
    with theirs, safe_path(), _without_main_script(target, *arguments), _interruptions_held_back():
        process.start()
    _started.add(process)
    _kill_at_exit()
    return process, pipe


@cache
def _kill_at_exit() -> None:
    """Let the processes that were started end with this one; multiprocessing would only ask them to."""
    atexit.register(_kill_all)


def _kill_all() -> None:
    for process in list(_started):
        process.kill()


@contextmanager
def safe_path() -> Iterator[None]:
    """Let a Python started meanwhile import no file of the working directory: it may hold a `signal.py`."""
    with _environment("PYTHONSAFEPATH", "1"):
        yield


@contextmanager
def known_package() -> Iterator[None]:
    """Let a Python started meanwhile import this package from here, if that is a checkout and not installed."""
    places = os.environ.get("PYTHONPATH", "")
    if _is_found(places):
        yield
        return
    root = os.path.dirname(package_directory())  # before the others: one of them may have another asymbp
    with _environment("PYTHONPATH", os.pathsep.join(filter(None, [root, places]))):
        yield


def package_directory() -> str:
    """Return the directory of this package."""
    return os.path.dirname(os.path.abspath(__file__))


@cache
def _is_found(places: str) -> bool:
    """Return whether a fresh Python with such a PYTHONPATH imports this package from here, too."""
    import subprocess

    words = "from asymbp_cli.spawn import package_directory; print(package_directory())"
    done = subprocess.run([sys.executable, "-P", "-c", words], capture_output=True, text=True, check=False)
    return done.stdout.strip() == package_directory()


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment meanwhile."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def _without_main_script(*handed_over: Any) -> Iterator[None]:
    """Let a Python started meanwhile not import the main script, which it would run again from its beginning.

    A script needs no `if __name__ == "__main__"` then.
    """
    main = sys.modules["__main__"]
    is_needed = b"__main__" in pickle.dumps(handed_over)
    names = [name for name in ("__spec__", "__file__") if hasattr(main, name) and not is_needed]
    before = {name: getattr(main, name) for name in names}
    for name in names:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(main, name, value)


@contextmanager
def _interruptions_held_back() -> Iterator[None]:
    """Block interruptions, which a process started meanwhile inherits: not even its start is interrupted."""
    if sys.platform == "win32":
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its start, else part of the first process's, would unblock SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, interruptions())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
