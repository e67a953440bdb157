"""Which files are those of results directories, under whatever name."""

import os
from contextlib import suppress
from pathlib import Path

from asymbp_cli.files.paths import FILE_NAME, is_file

#: what a results directory has besides its database, in lower case: some filesystems take both for one name
_FOLDERS = ("checkpoints", "weights", "jobs")
_LOCK = ".lock"
_DATABASE = b"SQLite format 3\x00"  # how every one begins


def is_of_results(target: Path) -> bool:
    """Return whether a resolved path is a database, or a lock, checkpoint, weight or job of a results directory.

    A database is known by its content too, wherever it is: it may have been copied or linked there.
    """
    if target.name.lower().lstrip(".").startswith(FILE_NAME) or _is_database(target):
        return True
    if target.name.lower() in (_LOCK, *_FOLDERS) and _has_database(target.parent):
        return True
    return any(folder.name.lower() in _FOLDERS and _has_database(folder.parent) for folder in target.parents)


def _has_database(directory: Path) -> bool:
    return is_file(directory / FILE_NAME)


def _is_database(target: Path) -> bool:
    if not is_file(target):
        return False
    with target.open("rb") as file:
        return file.read(len(_DATABASE)) == _DATABASE


def is_linked(target: Path, directory: Path) -> bool:
    """Return whether a file is one of a results directory by another name: a hard link."""
    with suppress(OSError):
        found = target.stat()
        return found.st_nlink > 1 and any(os.path.samestat(found, other.stat()) for other in _list(directory))
    return False


def _list(directory: Path) -> list[Path]:
    """Return the files of a results directory."""
    found = [*directory.iterdir(), *(path for name in _FOLDERS for path in (directory / name).rglob("*"))]
    return [path for path in found if path.is_file()]
