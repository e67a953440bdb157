"""What folders, tars and zips have in common."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from asymbp_cli.errors import DataError

LARGEST_FILE = 1 << 28  # bytes


class Container(Protocol):
    """The visible files of a folder or archive. Methods raise DataError, or what the libraries raise on damage."""

    def walk(self) -> Iterator[tuple[str, bool]]:
        """Yield the name of each file and whether it is an image; names of folders end with a slash."""

    def read(self, selected: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield (name, content) of the selected files, in any order."""


def check_size(path: Path, name: str, size: int) -> None:
    """Raise DataError if a file is larger than any image: an archive of a few MB can hold a file of many GB."""
    if size > LARGEST_FILE:
        raise DataError(f"{path}: {name} has {size:,} bytes, more than the {LARGEST_FILE:,} of an image")
