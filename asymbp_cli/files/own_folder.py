"""Folders for the temporary files of one process; those that killed processes left are deleted by the next one.

A lock tells which ones these are: the system releases it even after kill -9. Process ids would not: those of
another machine or container mean nothing here.
"""

import os
import platform
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from asymbp_cli.files.locks import hold_lock, mark

_PREFIX = "asymbp-"
_LOCK = ".temporary.lock"  # no directory of results has one


@contextmanager
def own_folder(parent: Path, kind: str = "") -> Iterator[Path]:
    """Make a folder in `parent`, whose name has its `kind`, and delete it at the end.

    Raises OSError if it cannot be made.
    """
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{kind}", dir=parent))
    try:
        with (folder / _LOCK).open("w", encoding="utf-8") as file:
            if mark(file):  # without this line nobody takes it for one that was left
                file.write(platform.node())
                file.flush()
            yield folder
    finally:
        _delete(folder)


def _sweep(parent: Path) -> None:
    """Delete the folders in `parent` that processes of this user and machine have left.

    Another machine may not see that one is held, so each deletes its own.
    """
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError, UnicodeDecodeError):
            if _is_own(lock.parent) and lock.read_text(encoding="utf-8") == platform.node():
                with hold_lock(lock, wait=False):
                    _delete(lock.parent)


def _is_own(folder: Path) -> bool:
    """Return whether a folder belongs to this user, and is no link. Raises OSError."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == getattr(os, "getuid", lambda: 0)()


def _delete(folder: Path) -> None:
    """Delete a folder, its lock last: a kill meanwhile leaves what can still be told; what cannot go stays."""
    with suppress(OSError):
        for path in folder.iterdir():
            shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
