"""Paths that users write: `~` expanded, and names that no file can have found out without a traceback."""

from pathlib import Path

from asymbp_cli.errors import UsageError, printable


def expanded(text: str) -> Path:
    """Return the path with `~` expanded; raises UsageError where there is no such user."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(f'"{text}": there is no user of that name; write the whole path') from error


def exists(path: Path) -> bool:
    """Tell whether something is there; not so for a name too long, or in a folder that may not be read."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Tell whether a file is there, as `exists`."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def shown(path: Path | str) -> str:
    """Return text fit to be stored and printed: escaped if it has control characters or is no UTF-8."""
    text = str(path)
    return text if printable(text) else ascii(text)[1:-1]
