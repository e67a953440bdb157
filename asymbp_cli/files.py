"""Files that are written whole or not at all."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

_LEAST_BYTES = 1 << 16  # a disk with less counts as full
_NAME_CHARACTERS = 40  # of the target's name in the temporary one, which has an upper limit too


def is_full(directory: Path) -> bool:
    """Return whether the disk that holds a directory has no space left; False if it does not say."""
    try:
        return shutil.disk_usage(directory).free < _LEAST_BYTES
    except OSError:
        return False


def replace(target: Path, content: bytes, *, durable: bool = False) -> None:
    """Write `content` to `target`; a crash leaves the old file or the new one, never a part.

    `durable`: the content survives a loss of power. Raises OSError if the file cannot be written.
    """
    temporary = target.with_name(f".{target.name[:_NAME_CHARACTERS]}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError, ValueError):  # the first error is the one to report
            temporary.unlink(missing_ok=True)
        raise
