"""User-supplied paths: expand `~`, and test existence without raising on invalid names."""

import os
from pathlib import Path

from asymbp_cli.errors import UsageError

FILE_NAME = "asymbp.sqlite"  # of a store, in its directory


def expand_home(text: str) -> Path:
    """Return the path with `~` expanded, the one place that does so.

    A file of such a name, `~$notes.yaml`, means itself. Raises UsageError if there is no such user, or no home
    directory.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        if exists(Path(text)):
            return Path(text)
        problem = (
            "your home directory is not known" if Path(text).parts[0] == "~" else "there is no user of that name"
        )
        raise UsageError(f'"{text}": {problem}. Write the whole path.') from error


def environment_path(variable: str) -> Path | None:
    """Return the path in a variable of the environment, with `~` expanded; None if it is not set, or empty.

    Raises UsageError if `~` names no user.
    """
    try:
        return expand_home(text) if (text := os.environ.get(variable)) else None
    except UsageError as error:
        raise UsageError(f"${variable}: {error}") from error


def exists(path: Path) -> bool:
    """Return whether something is there; False if the name is too long or its folder may not be read."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Return whether a file is there; False as in `exists`."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def shorten_path(text: str) -> str:
    """Return a path as `./photos` or `~/photos` if it leads below the working directory or the home directory.

    For people to read: other programs, and other directories, need the whole path.
    """
    for place, name in (Path.cwd, "."), (Path.home, "~"):
        try:
            return f"{name}/{Path(text).relative_to(place())}"
        except (OSError, RuntimeError, ValueError):  # no such directory, no home, or elsewhere
            continue
    return text
