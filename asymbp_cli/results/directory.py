"""Whether a directory can hold results, and has not lost them."""

import os
from pathlib import Path

from asymbp_cli.errors import StoreError
from asymbp_cli.files.paths import FILE_NAME, exists, is_file
from asymbp_cli.text import nearest_path, printable_path

ELSEWHERE = "use another directory with --results DIR"


def check_reachable(directory: Path) -> None:
    """Raise StoreError if this user may not look into a directory: what is not seen there may be there."""
    try:
        (directory / FILE_NAME).stat()
    except PermissionError as error:
        raise StoreError(
            f"cannot read {printable_path(directory)}/: {error.strerror}. Check its permissions, or name another "
            "directory"
        ) from error
    except (OSError, ValueError):
        return


def check_directory(directory: Path, *, create: bool) -> None:
    """Raise StoreError if `directory` cannot hold results, has lost them, or has none and is not to be made."""
    check_reachable(directory)
    if exists(directory) and not directory.is_dir():
        raise StoreError(f"{directory} is a file, not a directory. Choose a directory with --results DIR")
    if exists(directory / "checkpoints") and not (directory / "checkpoints").is_dir():
        raise StoreError(f"{directory}/checkpoints is a file. Move it away, or use --results DIR")
    _check_not_lost(directory / FILE_NAME)
    if not create and not exists(directory / FILE_NAME):
        remedy = (
            f"There are some in {directory}/results/: name that directory"
            if exists(directory / "results" / FILE_NAME)
            else "Train something first, for instance with asymbp reproduce --table 2, or name another directory "
            "with --results DIR"
        )
        hint = nearest_path(directory, lambda path: is_file(path / FILE_NAME))
        raise StoreError(f"there are no results in {directory}/.{hint} {remedy}")


def _check_not_lost(path: Path) -> None:
    """Raise StoreError if the database is empty, which asymbp never leaves, or has gone without its log.

    SQLite would take it for a new one, and delete the log, in which the latest results are.
    """
    log = path.with_name(f"{path.name}-wal")
    is_empty = is_file(path) and path.stat().st_size == 0
    if is_empty or (not os.path.lexists(path) and is_file(log) and log.stat().st_size > 0):
        state = "is empty" if is_empty else f"is missing, but its {log.name} is there"
        raise StoreError(
            f"{path} {state}: its content was lost. Move {path.name}, {log.name} and {path.name}-shm away "
            f"together, then put back a copy of {path.name} or start anew, or {ELSEWHERE}"
        )
