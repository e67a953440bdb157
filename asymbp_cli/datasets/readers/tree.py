"""A tree of files in a directory, a tar or a zip, read in place: nothing is unpacked to disk."""

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, Self

from asymbp_cli.datasets.checksums import signature
from asymbp_cli.datasets.readers.picture import EXTENSIONS
from asymbp_cli.errors import DataError

#: raised by the libraries on damaged (KeyError: a broken link) or encrypted (RuntimeError) archives
_BROKEN = (
    OSError,
    EOFError,
    KeyError,
    RuntimeError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    UnicodeError,
)


_LARGEST_FILE = 1 << 28  # bytes
_MOST_VISITS, _MOST_PER_FOLDER = 1000, 10  # of folders that several links lead to


class _StrictMember(tarfile.TarInfo):
    """Refuses damage between members; tarfile itself takes a broken header for the end."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tar)
        except tarfile.HeaderError as error:
            if isinstance(error, tarfile.EOFHeaderError):  # type: ignore[attr-defined]  # the proper end
                raise
            raise tarfile.ReadError(f"it is damaged or cut short at byte {tar.offset} ({error})") from error


class Tree:
    """Names (with forward slashes) and contents of the files below `path`.

    Every method raises DataError if the path does not exist or cannot be read, naming it. No name is ever used
    to write a file.
    """

    def __init__(self, path: Path, inside: str = "") -> None:
        """Read a folder, tar or zip; `inside` names a tar in that zip to read instead."""
        self.path = path
        self._inside = inside
        self._kind = "unknown"
        with self._guard():
            if not path.exists():
                raise DataError(f"{path} does not exist. Write the path of a folder, .tar(.gz, .xz) or .zip")
            if not (path.is_dir() or path.is_file()):
                raise DataError(f"{path} is neither a folder nor a file. Name a folder, .tar(.gz, .xz) or .zip")
            zipped = path.is_file() and zipfile.is_zipfile(path) and not inside
            self._kind = "folder" if path.is_dir() else "zip" if zipped else "tar"

    def source(self) -> Any:
        """Return the identity of the files, which changes when they do: path, sizes and times."""
        with self._guard():
            if self._kind != "folder":
                return [signature(self.path)]
            return [signature(self.path / name) for name in self.names() if not name.endswith("/")]

    def names(self) -> list[str]:
        """Return the names of all files, and of folders with a trailing slash, sorted."""
        with self._guard():
            names = sorted(self._walk())
        for name, following in pairwise(names):
            if name == following and not name.endswith("/"):
                raise DataError(f"{self.path} holds {name} twice. Pack it again.")
        return names

    def _walk(self) -> Iterator[str]:
        if self._kind == "folder":
            yield from _FolderWalk(self.path).below(self.path, "", ())
        elif self._kind == "zip":
            with zipfile.ZipFile(self.path) as archive:
                yield from archive.namelist()
        else:
            yield from self._in_tar()

    def _in_tar(self) -> Iterator[str]:
        with self._tar() as tar:
            for member in tar:
                if member.issym() and PurePosixPath(member.name).suffix.lower() in EXTENSIONS:
                    raise DataError(f"{self.path}: {member.name} is a symbolic link. Pack it again with tar -h.")
                if member.isfile() or member.islnk() or member.isdir():
                    yield _clean(member.name) + ("/" if member.isdir() else "")
            _check_end(tar)

    @contextmanager
    def _tar(self) -> Iterator[tarfile.TarFile]:
        if not self._inside:
            with tarfile.open(self.path, tarinfo=_StrictMember) as tar:
                yield tar
            return
        with zipfile.ZipFile(self.path) as archive:
            inner = [name for name in archive.namelist() if name.rpartition("/")[2] == self._inside]
            if len(inner) != 1:
                raise DataError(f"{self.path} holds {len(inner)} files {self._inside}, not one. Fetch it again.")
            with (
                archive.open(inner[0]) as content,
                tarfile.open(fileobj=content, mode="r|*", tarinfo=_StrictMember) as tar,
            ):
                yield tar

    def read(self, selected: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield (name, content) of the selected files, in their order in the archive."""
        with self._guard():
            if self._kind == "folder":
                yield from self._read_folder(selected)
            elif self._kind == "zip":
                yield from self._read_zip(selected)
            else:
                yield from self._read_tar(selected)

    def _read_folder(self, selected: set[str]) -> Iterator[tuple[str, bytes]]:
        for name in sorted(selected):
            file = self.path / name
            if not file.is_file():
                raise DataError(f"{file} is a pipe or device, not an image. Remove it.")
            self._check_size(name, file.stat().st_size)
            yield name, file.read_bytes()

    def _read_zip(self, selected: set[str]) -> Iterator[tuple[str, bytes]]:
        with zipfile.ZipFile(self.path) as archive:
            for name in sorted(selected):
                self._check_size(name, archive.getinfo(name).file_size)
                yield name, archive.read(name)

    def _read_tar(self, selected: set[str]) -> Iterator[tuple[str, bytes]]:
        with self._tar() as tar:
            for member in tar:
                file = tar.extractfile(member) if _clean(member.name) in selected else None
                if file:
                    self._check_size(member.name, member.size)
                    yield _clean(member.name), file.read()

    def _check_size(self, name: str, size: int) -> None:
        """Refuse files larger than any image: an archive of a few MB can hold a file of many GB."""
        if size > _LARGEST_FILE:
            raise DataError(f"{self.path}: {name} has {size:,} bytes, more than the {_LARGEST_FILE:,} of an image")

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Turn the errors of a damaged archive into one message."""
        try:
            yield
        except _BROKEN as error:
            reason = (str(error) or type(error).__name__).splitlines()[0].removesuffix(":")
            if self._kind == "folder" and isinstance(error, OSError):
                raise DataError(
                    f"{self.path} cannot be read: {reason}. Remove what the message names, or allow reading it."
                ) from error
            raise DataError(
                f"{self.path} cannot be read: {reason}. It must be a folder, .tar, .tar.gz, .tar.xz or .zip that "
                "is whole. Copy or fetch it again."
            ) from error


class _FolderWalk:
    """Walks a folder, links followed. Raises OSError if it may not be read, DataError if links multiply."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._visits = 0
        self._seen: set[tuple[int, int]] = set()

    def below(self, directory: Path, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
        """Yield the names below a folder.

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
            raise DataError(f"{self._root}: its folders link to each other over and over. Remove the links.")
        with os.scandir(directory) as entries:
            listed = list(entries)
        for entry in listed:
            if entry.is_dir():
                yield f"{prefix}{entry.name}/"
                yield from self.below(directory / entry.name, f"{prefix}{entry.name}/", (*above, here))
            else:
                yield f"{prefix}{entry.name}"


def _check_end(tar: tarfile.TarFile) -> None:
    """Read what follows the last member: zeros, and the checksum of a packed tar. Raises ReadError, OSError."""
    content: Any = tar.fileobj
    while chunk := content.read(1 << 20):
        if chunk.strip(b"\0"):
            raise tarfile.ReadError("unexpected data after the end of the archive")


def _clean(name: str) -> str:
    return name.removeprefix("./")
