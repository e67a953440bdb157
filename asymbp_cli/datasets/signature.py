"""What tells that files on disk have not changed, without reading them."""

import os
from pathlib import Path


def signature(file: Path) -> tuple[str, int, int]:
    """Return (absolute path, bytes, modification time in ns) of a file."""
    status = file.stat()
    return os.path.abspath(file), status.st_size, status.st_mtime_ns
