"""One process at a time: a lock file that the operating system releases even after kill -9."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

if sys.platform == "win32":
    import msvcrt

    def _wait_for(file: TextIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)

else:
    import fcntl

    def _wait_for(file: TextIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until no other process holds `path`, then hold it. Raises OSError where it cannot be created or locked.

    The file stays: deleting it would let two processes lock two files of that name.
    """
    with path.open("a") as file:
        _wait_for(file)
        yield
