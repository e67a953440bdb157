"""Notices that others delete, replace or overwrite the database while this process writes to it."""

import os
import shutil
import sqlite3
import zlib
from contextlib import closing, suppress
from pathlib import Path

from asymbp_cli.errors import StoreError


class Guard:
    """Watches the database at `path`: its identity from now on, its content from `start` on.

    Only one process writes to it, and SQLite changes the file in transactions only. Any other change is foreign.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = _identify(path)
        self._times: tuple[int, int] | None = None
        self._checksum = 0

    def start(self) -> None:
        """Take the content as it is; the caller holds the writer's lock."""
        self._times = None
        self.remember()

    def remember(self) -> None:
        """Take the content as it is after a transaction of this process."""
        times = _read_times(self._path)
        if times != self._times:
            self._times, self._checksum = times, _read_checksum(self._path)

    def check(self) -> None:
        """Raise StoreError if the file is another one, or has another content than this process has given it.

        What SQLite keeps next to an overwritten file is put aside first: it belongs to the former content.
        """
        if _identify(self._path) != self._identity:
            raise StoreError(
                f"{self._path} was deleted or replaced while asymbp was writing to it, and the results in it "
                "are lost. Put the file back if you can, then run the same command again"
            )
        times = _read_times(self._path)
        if self._times is None or times == self._times:
            return
        same_size = times is not None and times[0] == self._times[0]
        if same_size and _read_checksum(self._path) == self._checksum:  # it was only touched
            self._times = times
            return
        kept = _put_log_aside(self._path)
        raise StoreError(
            f"{self._path} was overwritten or truncated while asymbp was writing to it, and the results in it "
            f"are lost; what had not reached it yet is in {kept.name}. Move it away and put back a copy if you "
            "can, then run the same command again"
        )


def _identify(path: Path) -> tuple[int, int] | None:
    """Return the identity of a file, which another file of its name does not share; None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _read_times(path: Path) -> tuple[int, int] | None:
    """Return the bytes of a file and when they were changed (ns); None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _read_checksum(path: Path) -> int:
    """Return the CRC-32 of a database without its log, -1 if it is none, 0 if this SQLite cannot tell it.

    Only SQLite may open the file: closing a descriptor of one's own releases the locks of the whole process.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            return zlib.crc32(connection.serialize()) if hasattr(connection, "serialize") else 0
    except sqlite3.Error:
        return -1


def _put_log_aside(path: Path) -> Path:
    """Copy the write-ahead log of a database, and empty it: SQLite would write it into the foreign content."""
    log = path.with_name(f"{path.name}-wal")
    kept = log.with_name(f"{log.name}.kept")
    with suppress(OSError):
        if log.stat().st_size:
            shutil.copyfile(log, kept)
            os.truncate(log, 0)
    return kept
