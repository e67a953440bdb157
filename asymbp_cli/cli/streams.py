"""Standard output and error that never stop the work: a training outlives its terminal."""

import errno
import os
import sys
from typing import Any, TextIO, cast

from asymbp_cli.errors import UsageError
from asymbp_cli.text import escape_controls, is_number

UNLIMITED = 10_000  # columns, or lines
_NARROWEST = 20  # columns of a terminal that can show a table


class TolerantStream:
    """A text stream that drops text after its first error, and keeps this error.

    Letters missing in the terminal's encoding are written as `?`, and those that would steer it are escaped: names
    in files of others do not reach it otherwise.
    """

    def __init__(self, stream: TextIO, *, is_closed: bool = False) -> None:
        """Write to `stream`; `is_closed` if that leads nowhere, in place of a stream that was closed."""
        self._stream = stream
        self.is_closed = is_closed
        self.error: OSError | None = None
        self.kept = ""  # what the command leaves elsewhere, in words, so that lost text is no lost result
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")

    def write(self, text: str) -> int:
        """Write, unless writing failed before."""
        self.steer(escape_controls(text))
        return len(text)

    def steer(self, text: str) -> None:
        """Write text that may steer the terminal, unless writing failed before."""
        if self.error is None:
            try:
                if self.is_closed and text:
                    raise OSError(errno.EBADF, "it is closed")
                self._stream.write(text)
            except OSError as error:
                self._lose(error)

    def flush(self) -> None:
        """Flush, unless writing failed before."""
        if self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._lose(error)

    def _lose(self, error: OSError) -> None:
        """Keep the error, and send text that is still buffered nowhere."""
        self.error = error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class SteeringStream:
    """A stream for what draws in the terminal, and escapes the texts of others itself."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text as it is."""
        getattr(self._stream, "steer", self._stream.write)(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def can_redraw(stream: TextIO) -> bool:
    """Return whether lines can be drawn anew: not in a file, a pipe, a dumb terminal, or a log of CI."""
    is_dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    is_log = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return stream.isatty() and not is_dumb and not is_log


def measure_terminal(stream: TextIO) -> tuple[int, int]:
    """Return columns and lines of a stream's terminal, or no limits if there is none.

    COLUMNS counts first, if that is wide enough for a table.
    """
    width, height = (UNLIMITED, UNLIMITED) if not stream.isatty() else _read_size(stream)
    columns = os.environ.get("COLUMNS", "")
    if is_number(columns):
        width = int(columns) if int(columns) >= _NARROWEST else width
    return max(width, _NARROWEST), height


def _read_size(stream: TextIO) -> tuple[int, int]:
    """Return columns and lines of a terminal; of the usual one if it does not know them."""
    try:
        width, height = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        width, height = 0, 0
    return width or 80, height or 24


def use_utf8(stream: Any) -> None:
    """Write UTF-8 from now on, whatever the locale is, unless to a terminal: for what programs read."""
    if not stream.isatty() and hasattr(stream, "reconfigure"):
        stream.reconfigure(encoding="utf-8", errors="replace")


def protect_streams() -> tuple[TolerantStream, TolerantStream]:
    """Make standard output and error tolerant, even closed ones; return them. A closed input is an empty one."""
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115  # never closed
    streams = []
    for name in ("stdout", "stderr"):
        given = getattr(sys, name)
        stream = given or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # never closed
        tolerant = TolerantStream(stream, is_closed=given is None)
        setattr(sys, name, cast(TextIO, tolerant))
        streams.append(tolerant)
    output, errors = streams
    return output, errors


def is_closed(stream: Any) -> bool:
    """Return whether what is written to a stream leads nowhere, as it was closed."""
    return getattr(stream, "is_closed", False)


def check_open(what: str, remedy: str = "") -> None:
    """Raise UsageError if standard output is closed, on which `what` is printed after some work."""
    if is_closed(sys.stdout):
        raise UsageError(f"{what} printed on standard output, which is closed. Add > FILE{remedy}")


def note_kept(text: str) -> None:
    """Note what the command has left elsewhere than on standard output."""
    if isinstance(sys.stdout, TolerantStream):
        sys.stdout.kept = text


def explain_unwritten(place: object, reason: object, error: BaseException | None) -> str:
    """Return the message about a place that cannot be written, for a reason that an error has given."""
    remedy = "Free some space, or choose" if getattr(error, "errno", None) == errno.ENOSPC else "Choose"
    return f"cannot write {place}: {reason}. {remedy} another file"


def explain_loss(stream: TolerantStream) -> str | None:
    """Return why output was lost; None if none was, or if its reader had enough (a broken pipe)."""
    if stream.error is None or stream.error.errno == errno.EPIPE:
        return None
    return stream.error.strerror or str(stream.error)
