"""What tells that files are unchanged (cheap, without reading them) or as published (their MD5)."""

import hashlib
import os
from pathlib import Path

from asymbp_cli.errors import DataError


def signature(file: Path) -> tuple[str, int, int]:
    """Return (absolute path, bytes, modification time in ns) of a file."""
    status = file.stat()
    return os.path.abspath(file), status.st_size, status.st_mtime_ns


def check_md5(file: Path, published: str) -> None:
    """Raise DataError where the file cannot be read or its MD5 is not the published one."""
    try:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error
    if digest != published:
        raise DataError(f"{file} is not the published file (MD5 differs); delete it and use --download")
