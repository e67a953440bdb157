"""Files that are written whole or not at all, and what killed processes leave of them."""

import os
import re
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path

from asymbp_cli.files.locks import hold_lock, mark

_LEAST_BYTES = 1 << 16  # a disk with less counts as full
_NAME_CHARACTERS = 40  # of the target's name in the temporary one, which has an upper limit too
_OLD_SECONDS = 3600.0  # in which every file is written
_YOUNG_SECONDS = 60.0  # in which it is at least begun, and its lock taken


def is_full(directory: Path) -> bool:
    """Return whether the disk that holds a directory has no space left; False if it does not say."""
    try:
        return shutil.disk_usage(directory).free < _LEAST_BYTES
    except OSError:
        return False


def temporary_path(target: Path) -> Path:
    """Return the path next to `target` at which this thread makes it, before it is renamed."""
    name = target.name[:_NAME_CHARACTERS]
    return target.with_name(f".{name}.{os.getpid()}-{threading.get_ident()}.part")


def sweep(target: Path) -> None:
    """Delete what killed processes left of making `target`: temporary files that have not changed for an hour.

    A minute is enough if nobody holds a lock on it, as `replace` does. One that is `target` by another name goes
    at once. Until 0.5.0 those of databases had no ending. SQLite's journal of one is next to it.
    """
    name = re.escape(target.name[:_NAME_CHARACTERS])
    left = re.compile(rf"\.{name}\.[0-9]+-[0-9]+(\.part)?(-journal)?")
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if left.fullmatch(entry.name) and (_is_same(entry, target) or _is_left(Path(entry.path))):
                with suppress(OSError):
                    os.unlink(entry)


def _is_same(entry: "os.DirEntry[str]", target: Path) -> bool:
    """Return whether a temporary file has become `target`, and was not deleted after that."""
    with suppress(OSError):
        return os.path.samefile(entry, target)
    return False


def _is_left(path: Path) -> bool:
    """Return whether nobody writes a temporary file any more. Raises OSError if it is gone."""
    age = time.time() - path.stat().st_mtime
    if age <= _YOUNG_SECONDS:
        return False
    try:
        with hold_lock(path, wait=False):
            return True
    except BlockingIOError:  # somebody holds it, however old it seems: clocks jump
        return False
    except OSError:  # there are no locks here
        return age > _OLD_SECONDS


def replace(target: Path, content: bytes, *, durable: bool = False) -> None:
    """Write `content` to `target`; a crash leaves the old file or the new one, never a part.

    `durable`: the content survives a loss of power. Raises OSError if the file cannot be written.
    """
    temporary = temporary_path(target)
    try:
        with temporary.open("wb") as file:
            mark(file)
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError, ValueError):  # the first error is the one to report
            temporary.unlink(missing_ok=True)
        raise
