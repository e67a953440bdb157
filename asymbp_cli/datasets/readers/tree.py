"""A tree of files in a directory, a tar or a zip, read in place: nothing is unpacked to disk."""

import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from asymbp_cli.datasets.archives.base import Container
from asymbp_cli.datasets.archives.folder import Folder
from asymbp_cli.datasets.archives.forms import explain_other, explain_part, is_zip
from asymbp_cli.datasets.archives.names import ending
from asymbp_cli.datasets.archives.tar import Tar
from asymbp_cli.datasets.archives.zip import Zip
from asymbp_cli.datasets.catalog import is_images
from asymbp_cli.datasets.checksums import signature
from asymbp_cli.errors import DataError
from asymbp_cli.text import nearest_path

#: raised by the libraries on damaged (KeyError: a broken link) or encrypted (RuntimeError) archives
_BROKEN = (
    OSError,
    EOFError,
    KeyError,
    RuntimeError,
    ValueError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


class Tree:
    """Names (with forward slashes) and contents of the visible files below `path`.

    Files that are hidden, or that operating systems leave, do not exist here. The files are listed once. Every
    method raises DataError if the path does not exist or cannot be read, naming it. No name is ever used to write
    a file.
    """

    def __init__(self, path: Path, inside: str = "") -> None:
        """Read a folder, tar or zip; `inside` names a tar in that zip to read instead."""
        self.path = path
        with self._guard():
            self._files = _open(path, inside)

    def source(self) -> Any:
        """Return the identity of the files, which changes when they do: path, sizes and times."""
        if not isinstance(self._files, Folder):
            with self._guard():
                return [signature(self.path)]
        names = self.names()
        with self._guard():
            return [signature(self.path / name) for name in names if not name.endswith("/")]

    def names(self) -> list[str]:
        """Return the names of all visible files, and of folders with a trailing slash, sorted."""
        return [name for name, _ in self._listed]

    def images(self) -> list[str]:
        """Return the names of the images, sorted: files whose ending says so, or their content if they have none.

        An ending of digits only is none: `image.0001`, `a.jpg.1`.
        """
        return [name for name, is_image in self._listed if is_image]

    def first_image(self) -> str | None:
        """Return the name of some image, without listing all; None if there is none."""
        with self._guard():
            return next((name for name, is_image in self._files.walk() if is_image), None)

    def sample(self, most: int) -> list[str]:
        """Return some images: from everywhere, but of a tar, which is slow to list, the first ones."""
        if isinstance(self._files, Tar):
            with self._guard():
                return list(islice((name for name, is_image in self._files.walk() if is_image), most))
        names = self.images()
        return names[:: max(len(names) // most, 1)][:most]

    def passed_over(self) -> dict[str, int]:
        """Return how many visible files are no images, by their ending in lower case, the most frequent first."""
        others = (name for name, is_image in self._listed if not is_image and not name.endswith("/"))
        counts = Counter(map(ending, others))
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    @cached_property
    def _listed(self) -> list[tuple[str, bool]]:
        with self._guard():
            listed = sorted(self._files.walk())
        for (name, _), (following, _) in pairwise(listed):
            if name == following and not name.endswith("/"):
                raise DataError(f"{self.path} holds {name} twice. Pack it again.")
        return listed

    def read(self, selected: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield (name, content) of the selected files, in any order."""
        with self._guard():
            yield from self._files.read(selected)

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Turn the errors of a damaged archive into one message."""
        try:
            yield
        except _BROKEN as error:
            reason = (str(error) or type(error).__name__).splitlines()[0].removesuffix(":")
            if os.path.isdir(self.path) and isinstance(error, OSError):
                raise DataError(
                    f"{self.path} cannot be read: {reason}. Remove what the message names, or allow reading it."
                ) from error
            raise DataError(
                explain_part(self.path)
                or f"{self.path} cannot be read: {reason}. It must be a folder, .tar, .tar.gz, .tar.xz or .zip "
                "that is whole. Copy or fetch it again."
            ) from error


def _open(path: Path, inside: str) -> Container:
    if not path.exists():
        hint = nearest_path(path, is_images)
        raise DataError(f"{path} does not exist.{hint} Write the path of a folder, .tar(.gz, .xz) or .zip")
    if path.is_dir():
        return Folder(path)
    if not path.is_file():
        raise DataError(f"{path} is neither a folder nor a file. Name a folder, .tar(.gz, .xz) or .zip")
    if is_zip(path):
        return Tar(path, inside) if inside else Zip(path)
    if other := explain_other(path):
        raise DataError(other)
    return Tar(path)
