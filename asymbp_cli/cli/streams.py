"""Standard output and error that never stop the work: a training outlives its terminal."""

import errno
import os
import sys
from typing import Any, TextIO, cast

from asymbp_cli.text import escape_controls


class TolerantStream:
    """A text stream that drops text after its first error, and keeps this error.

    Letters missing in the terminal's encoding are written as `?`, and those that would steer it are escaped: names
    in files of others do not reach it otherwise.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None
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


def protect_streams() -> tuple[TolerantStream, TolerantStream]:
    """Make standard output and error tolerant, closed ones included; return them."""
    streams = []
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # never closed
        tolerant = TolerantStream(stream)
        setattr(sys, name, cast(TextIO, tolerant))
        streams.append(tolerant)
    output, errors = streams
    return output, errors


def explain_loss(stream: TolerantStream) -> str | None:
    """Return why output was lost; None if none was, or if its reader had enough (a broken pipe)."""
    if stream.error is None or stream.error.errno == errno.EPIPE:
        return None
    return stream.error.strerror or str(stream.error)
