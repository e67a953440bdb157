"""Standard output and error that do not break what the tool is doing: a training outlives its terminal."""

import errno
import os
import sys
from typing import Any, TextIO, cast


class Tolerant:
    """A text stream that swallows what cannot be written any more, and keeps the first error.

    Letters that the terminal's encoding lacks are written as `?`.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")

    def write(self, text: str) -> int:
        """Write, as long as that works."""
        if self.error is None:
            try:
                return self._stream.write(text)
            except OSError as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Flush, as long as that works."""
        if self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._lose(error)

    def _lose(self, error: OSError) -> None:
        self.error = error
        nowhere = os.open(os.devnull, os.O_WRONLY)  # what is still buffered goes there at the end
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def protect() -> tuple[Tolerant, Tolerant]:
    """Make standard output and error tolerant, closed ones included; return them."""
    found = []
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # for good
        tolerant = Tolerant(stream)
        setattr(sys, name, cast(TextIO, tolerant))
        found.append(tolerant)
    return found[0], found[1]


def reason(stream: Tolerant) -> str | None:
    """Return why output was lost; None where none was, or where its reader had enough (a broken pipe)."""
    if stream.error is None or stream.error.errno == errno.EPIPE:
        return None
    return stream.error.strerror or str(stream.error)
