"""One writer per results directory: a lock file that the operating system releases even after kill -9."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from asymbp_cli.errors import StoreError

if sys.platform == "win32":
    import msvcrt

    def _acquire(file: TextIO) -> None:
        file.seek(1 << 20)  # far after the text, which others must be able to read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)

else:
    import fcntl

    def _acquire(file: TextIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def writer_lock(directory: Path) -> Iterator[None]:
    """Hold `directory`/.lock, which then names this process and its host.

    Raises StoreError if another process holds it. The file stays: deleting it would let two processes lock two
    files of that name.
    """
    path = directory / ".lock"
    try:
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise StoreError(
            f"cannot write in {directory}/: {error.strerror}. Choose another directory with --results DIR"
        ) from error
    with file:
        try:
            _acquire(file)
        except OSError as error:
            raise StoreError(_explain(path, error)) from error
        file.truncate(0)
        file.write(f"{os.getpid()} {platform.node()}\n")
        file.flush()
        yield
        file.truncate(0)


def _explain(path: Path, error: OSError) -> str:
    """Return which process holds the lock, or why there can be none."""
    if not isinstance(error, BlockingIOError | PermissionError):
        return f"cannot lock {path}: {error.strerror}. Choose a directory on another filesystem with --results DIR"
    pid, _, host = path.read_text(encoding="utf-8").strip().partition(" ")
    place = f" on {host}" if host and host != platform.node() else ""
    return (
        f"another asymbp (pid {pid or '?'}{place}) is writing to {path.parent}/. "
        "Wait for it, or use another directory with --results DIR"
    )
