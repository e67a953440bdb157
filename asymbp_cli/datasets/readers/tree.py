"""A tree of files in a directory, a tar or a zip, read in place: nothing is unpacked to disk."""

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asymbp_cli.datasets.signature import signature
from asymbp_cli.errors import DataError

_BROKEN = (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


class Tree:
    """Names (with forward slashes) and contents of the regular files below `path`.

    Raises DataError where the path does not exist or the archive is damaged, naming it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise DataError(f"{path} does not exist; write the path of a folder, .tar(.gz, .xz) or .zip")
        self._kind = "folder" if path.is_dir() else "zip" if zipfile.is_zipfile(path) else "tar"

    def source(self) -> Any:
        """Return what changes whenever the files do: path, sizes and times."""
        if self._kind != "folder":
            return [signature(self.path)]
        return [signature(self.path / name) for name in self.names()]

    def names(self) -> list[str]:
        """Return all file names, sorted."""
        return sorted(self._names())

    def _names(self) -> list[str]:
        if self._kind == "folder":
            found = [
                (Path(directory) / name).relative_to(self.path).as_posix()
                for directory, _, files in os.walk(self.path, followlinks=True)
                for name in files
            ]
            return found
        with self._guard():
            if self._kind == "zip":
                with zipfile.ZipFile(self.path) as archive:
                    return [info.filename for info in archive.infolist() if not info.is_dir()]
            with tarfile.open(self.path) as tar:
                return [_clean(member.name) for member in tar if member.isfile()]

    def read(self, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield (name, content) of the wanted files, in the order in which they lie."""
        with self._guard():
            if self._kind == "folder":
                for name in sorted(wanted):
                    yield name, (self.path / name).read_bytes()
            elif self._kind == "zip":
                with zipfile.ZipFile(self.path) as archive:
                    for name in sorted(wanted):
                        yield name, archive.read(name)
            else:
                with tarfile.open(self.path) as tar:
                    for member in tar:
                        file = tar.extractfile(member) if _clean(member.name) in wanted else None
                        if file:
                            yield _clean(member.name), file.read()

    def _guard(self) -> "_Guard":
        return _Guard(self.path)


class _Guard:
    """Turns what a damaged archive raises into one message."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _BROKEN) and not isinstance(error, DataError):
            raise DataError(
                f"{self._path} cannot be read: {error or type(error).__name__}. It must be a folder, .tar, "
                ".tar.gz, .tar.xz or .zip that is whole; copy or fetch it again"
            ) from error


def _clean(name: str) -> str:
    return name.removeprefix("./")
