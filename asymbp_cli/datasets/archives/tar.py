"""A tar, packed or not, which may be in a zip."""

import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

from asymbp_cli.datasets.archives.base import check_size
from asymbp_cli.datasets.archives.names import clean, is_hidden, is_image, leads_to_images
from asymbp_cli.datasets.archives.signatures import START
from asymbp_cli.errors import DataError

_CONTINUED = b"M"  # type of a member that began in another volume (tar -M)


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


class Tar:
    """A tar. Its methods raise TarError and others on damage, DataError on what cannot be read here."""

    def __init__(self, path: Path, inside: str = "") -> None:
        """Read the tar at `path`, or the one named `inside` in that zip."""
        self.path = path
        self._inside = inside

    def walk(self) -> Iterator[tuple[str, bool]]:
        """Yield the name of each file and whether it is an image; names of folders end with a slash."""
        images: dict[str, bool] = {}
        links: list[tarfile.TarInfo] = []
        with self._open() as tar:
            for member in tar:
                name = clean(member.name)
                if not name or is_hidden(name):
                    continue
                if member.isdir():
                    yield f"{name}/", False
                elif member.isfile() or member.islnk():
                    images[name] = is_image(name, partial(_read, tar, member, START))
                    yield name, images[name]
                elif member.issym():
                    links.append(member)
                elif member.type == _CONTINUED:
                    raise DataError(f"{self.path} is one of several volumes. Unpack them and name the folder.")
            _check_end(tar)
        for link in links:
            if leads_to_images(clean(link.name), link.linkname, images):
                raise DataError(f"{self.path}: {link.name} is a symbolic link. Pack it again with tar -h.")

    def read(self, selected: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield (name, content) of the selected files, in their order in the archive."""
        with self._open() as tar:
            for member in tar:
                if (name := clean(member.name)) in selected and (member.isfile() or member.islnk()):
                    check_size(self.path, name, member.size)
                    yield name, _read(tar, member)

    @contextmanager
    def _open(self) -> Iterator[tarfile.TarFile]:
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


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo, size: int = -1) -> bytes:
    """Return the content of a member, or its first `size` bytes."""
    file = tar.extractfile(member)
    if file is None:
        raise DataError(f"{tar.name!s}: {member.name} is a hard link to what is no file. Pack it again.")
    return file.read(size)


def _check_end(tar: tarfile.TarFile) -> None:
    """Read what follows the last member: zeros, and the checksum of a packed tar. Raises ReadError, OSError."""
    content: Any = tar.fileobj
    while chunk := content.read(1 << 20):
        if chunk.strip(b"\0"):
            raise tarfile.ReadError("unexpected data after the end of the archive")
