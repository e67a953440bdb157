"""Cheap file signatures (size, times of change, inode), and published checksums."""

import hashlib
import os
from pathlib import Path

from asymbp_cli.errors import DataError

_ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256"}  # by hexadecimal digits


def signature(file: Path) -> tuple[str, int, int, int, int]:
    """Return (absolute path, bytes, modification time, change time, number) of a file, without reading it.

    Times are in ns. Renaming a file, or writing another one of the same size and modification time in its place,
    changes one of the last two. The number is the file's on Windows, whose other time is that of its creation.
    """
    status = file.stat()
    number = status.st_ino if os.name == "nt" else 0
    return os.path.abspath(file), status.st_size, status.st_mtime_ns, status.st_ctime_ns, number


def digest(file: Path, like: str) -> str:
    """Return the file's MD5, SHA-1 or SHA-256, whichever `like` is. Raises OSError."""
    with file.open("rb") as content:
        return hashlib.file_digest(
            content, lambda: hashlib.new(_ALGORITHMS[len(like)], usedforsecurity=False)
        ).hexdigest()


def algorithm(checksum: str) -> str:
    """Return the name of a checksum's algorithm: `MD5`, `SHA1`, `SHA256`."""
    return _ALGORITHMS[len(checksum)].upper()


def verify(file: Path, published: str, remedy: str = "Delete it and use --download.") -> None:
    """Raise DataError if the file cannot be read or its checksum is not the published one."""
    try:
        actual = digest(file, published)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error
    if actual != published:
        raise DataError(f"{file} is not the published file ({algorithm(published)} differs). {remedy}")
