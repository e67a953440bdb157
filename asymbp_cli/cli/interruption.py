"""What Ctrl-C, SIGTERM and SIGHUP do to a command: it ends once, with one line."""

import signal
import time
from types import FrameType

from asymbp_cli.spawn import interruptions

_LEAVING_SECONDS = 2.0  # in which the impatient are not heard
_first: list[tuple[int, float]] = []  # signal, and seconds on the monotonic clock


def handle_interruptions() -> None:
    """Raise KeyboardInterrupt at any of the signals that is not ignored already, as `nohup` does."""
    for number in interruptions():
        if signal.getsignal(number) not in (signal.SIG_IGN, _interrupt):
            signal.signal(number, _interrupt)


def exit_code() -> int:
    """Return the exit code of an interruption, as shells have it: 130 after Ctrl-C."""
    return 128 + (_first[0][0] if _first else signal.SIGINT)


def _interrupt(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _first and now - _first[-1][1] < _LEAVING_SECONDS:
        return
    _first.append((number, now))
    raise KeyboardInterrupt
