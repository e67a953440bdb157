"""The signals that ask a program to end: of Ctrl-C, of kill and of schedulers, of a terminal that is closed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def interruptions() -> tuple[signal.Signals, ...]:
    """Return these signals; Windows has no SIGHUP."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


def ignore_interruptions() -> None:
    """Ignore them in this process from now on."""
    for number in interruptions():
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def delayed_interruptions() -> Iterator[None]:
    """Let an interruption wait until the end of something short that must not be left half done."""
    if threading.current_thread() is not threading.main_thread():  # which alone is interrupted
        yield
        return
    received: list[tuple[int, FrameType | None]] = []
    before = {number: signal.getsignal(number) for number in interruptions()}
    handled = {number: handler for number, handler in before.items() if callable(handler)}
    for number in handled:
        signal.signal(number, lambda *arguments: received.append(arguments))
    try:
        yield
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
        for arguments in received[:1]:
            handled[signal.Signals(arguments[0])](*arguments)
