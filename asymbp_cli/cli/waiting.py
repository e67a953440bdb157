"""What a command waits for, on standard error: a line that ticks in a terminal, few lines elsewhere."""

import sys
import threading
import time
from types import TracebackType

import click

from asymbp_cli.cli.streams import SteeringStream, can_redraw
from asymbp_cli.text import printable_path

_TICK_SECONDS = 0.25
_LINE_SECONDS = 10.0  # between lines if nothing can be redrawn
_LEAVING_SECONDS = 1.0  # that the end waits for the last tick: a terminal may be stopped
_ERASE = "\x1b[K"


def say(message: str) -> None:
    """Print what a command waits for, on standard error."""
    click.echo(printable_path(message), err=True)


class Waiting:
    """Shows what is waited for, and for how long, until it ends; if `quiet`, nothing. Use it as a context.

    The cursor stays at the beginning of the line, so that any message goes over it.
    """

    def __init__(self, what: str, *, quiet: bool) -> None:
        self._what, self._quiet = what, quiet
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._redraws = can_redraw(sys.stderr)
        self._stream = SteeringStream(sys.stderr)
        self._thread = threading.Thread(target=self._tick_on, daemon=True)

    def __enter__(self) -> "Waiting":
        if not self._quiet:
            if self._redraws:
                self._tick()
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Show nothing any more. It may have ended before."""
        if self._quiet or self._ended.is_set():
            return
        self._ended.set()
        self._thread.join(_LEAVING_SECONDS)
        if self._redraws:
            self._write(_ERASE)

    def _tick_on(self) -> None:
        while not self._ended.wait(_TICK_SECONDS if self._redraws else _LINE_SECONDS):
            self._tick()

    def _tick(self) -> None:
        text = f"{self._what}: {time.monotonic() - self._began:.0f} s elapsed"
        if self._redraws:
            self._write(f"{text}{_ERASE}\r")
        else:
            click.echo(text, err=True)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
