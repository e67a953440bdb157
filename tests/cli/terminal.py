"""A real terminal for tests: a pseudo-terminal of some size, and what a command writes to it."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_SECONDS = 120


def resize(terminal: int, columns: int, lines: int) -> None:
    """Give a terminal another size."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def run_in_terminal(
    arguments: Sequence[str],
    directory: Path,
    columns: int = 80,
    lines: int = 24,
    *,
    variables: Mapping[str, str] | None = None,
    watch: Callable[[int, str], None] = lambda terminal, text: None,
) -> str:
    """Run the tool in a terminal, with all its streams there; return what it wrote, with plain line ends.

    `watch` is told what was written so far, again and again.
    """
    ours, theirs = pty.openpty()
    resize(ours, columns, lines)
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "CI")}
    environment |= {"TERM": "xterm", "PYTHONPATH": str(ROOT)} | (variables or {})
    process = subprocess.Popen(
        [sys.executable, "-m", "asymbp_cli", *arguments],
        cwd=directory,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written, ends = b"", time.monotonic() + _SECONDS
    try:
        while time.monotonic() < ends:
            if select.select([ours], [], [], 0.1)[0]:
                part = b""
                with suppress(OSError):  # its last program has ended
                    part = os.read(ours, 1 << 16)
                if not part:
                    break
                written += part
            watch(ours, written.decode(errors="replace"))
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return written.decode().replace("\r\n", "\n")
