"""A folder of files, links followed."""

import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from asymbp_cli.datasets.archives.base import check_size
from asymbp_cli.datasets.archives.names import is_hidden, is_image
from asymbp_cli.datasets.archives.signatures import START
from asymbp_cli.errors import DataError

_Inode = tuple[int, int]  # device and number

_MOST_VISITS, _MOST_PER_FOLDER = 1000, 10  # of folders that several links lead to


class Folder:
    """A folder. Its methods raise OSError if a file may not be read, DataError if one is no file."""

    def __init__(self, path: Path) -> None:
        """Walk below `path`."""
        self.path = path
        self._visits = 0
        self._seen: set[_Inode] = set()

    def walk(self) -> Iterator[tuple[str, bool]]:
        """Yield the name of each file and whether it is an image; names of folders end with a slash."""
        self._visits = 0
        self._seen.clear()
        yield from self._below(self.path, "", ())

    def _below(
        self, directory: Path, prefix: str, above: tuple[tuple[int, int], ...]
    ) -> Iterator[tuple[str, bool]]:
        """Yield the names below a folder; raises DataError if links multiply.

        A folder that leads to itself (is in `above`, by inode) is not entered again: links may be circular. A
        folder that two classes link to belongs to both.
        """
        status = directory.stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        self._visits += 1
        self._seen.add(here)
        if self._visits > _MOST_VISITS + _MOST_PER_FOLDER * len(self._seen):
            raise DataError(f"{self.path}: its folders link to each other over and over. Remove the links.")
        with os.scandir(directory) as entries:
            listed = [entry for entry in entries if not is_hidden(entry.name)]
        for entry in listed:
            name = f"{prefix}{entry.name}"
            if entry.is_dir():
                yield f"{name}/", False
                yield from self._below(directory / entry.name, f"{name}/", (*above, here))
            else:
                yield name, is_image(entry.name, partial(_read_start, entry))

    def read(self, selected: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield (name, content) of the selected files, sorted by name."""
        for name in sorted(selected):
            file = os.path.join(self.path, name)
            status = os.stat(file)
            if not stat.S_ISREG(status.st_mode):
                raise DataError(f"{file} is a pipe or device, not an image. Remove it.")
            check_size(self.path, name, status.st_size)
            with open(file, "rb") as content:
                yield name, content.read()


def _read_start(entry: os.DirEntry[str]) -> bytes:
    """Return the first bytes of a file; none of a pipe or device, which might wait for ever.

    Raises DataError if they are the path of a folder: copies may turn a symbolic link to a class into such a text.
    """
    if not entry.is_file():
        return b""
    with open(entry.path, "rb") as content:
        start = content.read(START)
    target = os.path.join(os.path.dirname(entry.path), os.fsdecode(start))
    if b"/" in start and b"\0" not in start and os.path.isdir(target):
        raise DataError(
            f"{entry.path} is the text of a symbolic link, as some copies leave it. Copy the folder that it "
            "names, or remove it."
        )
    return start
