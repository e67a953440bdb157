"""Lock files that the operating system releases even after kill -9. They stay on the disk.

Deleting one would let two processes lock two files of the same name.
"""

import os
import platform
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TextIO

from asymbp_cli.errors import StoreError
from asymbp_cli.files.paths import FILE_NAME

if sys.platform == "win32":
    import msvcrt

    _LOCKED_BYTE = 1 << 20  # far past the text, which other processes must be able to read

    def _acquire(file: IO[Any], *, wait: bool) -> None:
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        file.seek(0)

else:
    import fcntl

    def _acquire(file: IO[Any], *, wait: bool) -> None:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def hold_lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Wait until no other process holds `path`, then hold it.

    Raises OSError if it cannot be created or locked; if not `wait`, also if another process holds it.
    """
    with path.open("a") as file:
        _acquire(file, wait=wait)
        yield


def mark(file: IO[Any]) -> bool:
    """Hold a new file until it is closed. Nobody holds one that was left.

    Return False if the filesystem has no locks.
    """
    with suppress(OSError):
        _acquire(file, wait=False)
        return True
    return False


@contextmanager
def hold_writer_lock(directory: Path) -> Iterator[None]:
    """Hold `directory`/.lock, which names this process and its host. Results have one writer at a time.

    Raises StoreError if another process holds the lock, or if the database has a second name.
    """
    path = _lock_path(directory)
    _check_names(directory / FILE_NAME)
    try:
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise _refusal(path, error) from error
    with file:
        try:
            _acquire(file, wait=False)
        except OSError as error:
            raise StoreError(_explain(path, error)) from error
        _sign(file, path)
        yield
        file.truncate(0)


def check_no_writer(directory: Path) -> None:
    """Raise StoreError if another process holds `directory`/.lock now, or nobody can.

    Nothing is made, and no lock is kept.
    """
    path = _lock_path(directory)
    try:
        file = path.open("r+", encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):  # whoever makes it will say why not
        return
    except OSError as error:
        raise _refusal(path, error) from error
    with file:
        if not os.fstat(file.fileno()).st_size:
            return  # nobody holds it: to try would be in the way of one who takes it now
        try:
            _acquire(file, wait=False)
        except OSError as error:
            raise StoreError(_explain(path, error)) from error


def _lock_path(directory: Path) -> Path:
    """Return the lock of results: it is next to their database, which may be a link into another directory."""
    database = directory / FILE_NAME
    is_link = os.path.islink(database)  # false for a name that nothing can have
    return (Path(os.path.realpath(database)).parent if is_link else directory) / ".lock"


def _refusal(path: Path, error: OSError) -> StoreError:
    return StoreError(f"cannot write {path}: {error.strerror}. Choose another directory with --results DIR")


def _check_names(database: Path) -> None:
    """Raise StoreError if a database is in several directories by hard links: each would have a lock and a log."""
    try:
        names = database.stat().st_nlink
    except (OSError, ValueError):  # there is none yet, or whoever opens it will say why not
        return
    if names > 1:
        old, new = (shlex.quote(str(path)) for path in (database, database.with_suffix(".copy")))
        raise StoreError(
            f"{database} has {names} names (hard links), and what is written under one is missing "
            f"or damaged under the others. Give this one a file of its own: cp {old} {new} && mv {new} {old}"
        )


def _sign(file: TextIO, path: Path) -> None:
    """Write which process holds the lock, past every buffer; raises StoreError if the disk is full."""
    try:
        file.truncate(0)
        os.write(file.fileno(), f"{os.getpid()} {platform.node()}\n".encode())
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror}. Free some space, or use another directory with --results DIR"
        ) from error


def _explain(path: Path, error: OSError) -> str:
    """Return who holds the lock, or why the file cannot be locked."""
    if not isinstance(error, BlockingIOError | PermissionError):
        return (
            f"cannot lock {path}: {error.strerror}. Choose a directory on another filesystem with --results DIR."
        )
    pid, _, host = path.read_text(encoding="utf-8", errors="replace").strip().partition(" ")
    place = f" on {host}" if host and host != platform.node() else ""
    return (
        f"another asymbp (pid {pid or '?'}{place}) is writing to {path.parent}/. Wait for it or use --results DIR."
    )
