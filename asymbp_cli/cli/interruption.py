"""What Ctrl-C, SIGTERM and SIGHUP do to a command: it ends once, with one line."""

import os
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

from asymbp_cli.spawn import interruptions

_LEAVING_SECONDS = 2.0  # in which the impatient are not heard
_first: list[tuple[int, float]] = []  # signal, and seconds on the monotonic clock


def handle_interruptions() -> None:
    """Raise KeyboardInterrupt at any of the signals that is not ignored already, as `nohup` does."""
    for number in interruptions():
        if signal.getsignal(number) not in (signal.SIG_IGN, _interrupt):
            signal.signal(number, _interrupt)


def leave() -> NoReturn:
    """End this process with the exit code that shells have for an interruption: 130 after Ctrl-C.

    At once, since what Python and libraries do at their end may be interrupted, and may change the code.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(128 + (_first[0][0] if _first else signal.SIGINT))


def _interrupt(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _first and now - _first[-1][1] < _LEAVING_SECONDS:
        return
    _first.append((number, now))
    raise KeyboardInterrupt
