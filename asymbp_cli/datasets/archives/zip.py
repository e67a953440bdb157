"""A zip, of whatever tool."""

import stat
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from asymbp_cli.datasets.archives.base import check_size
from asymbp_cli.datasets.archives.names import clean, is_hidden, is_image, leads_to_images
from asymbp_cli.datasets.archives.signatures import START
from asymbp_cli.errors import DataError


class Zip:
    """A zip. Its methods raise BadZipFile and others on damage, DataError on what cannot be read here."""

    def __init__(self, path: Path) -> None:
        """Read the zip at `path`."""
        self.path = path

    def walk(self) -> Iterator[tuple[str, bool]]:
        """Yield the name of each file and whether it is an image; names of folders end with a slash."""
        images: dict[str, bool] = {}
        links: list[tuple[str, str]] = []
        with zipfile.ZipFile(self.path) as archive:
            for member in archive.infolist():
                name = _name(member)
                if not name or is_hidden(name):
                    continue
                if name.endswith("/"):
                    yield name, False
                elif stat.S_ISLNK(member.external_attr >> 16):
                    links.append((name, archive.read(member).decode("utf-8", "replace")))
                else:
                    images[name] = is_image(name, partial(_read, archive, member, START))
                    yield name, images[name]
        for name, target in links:
            if leads_to_images(name, target, images):
                raise DataError(
                    f"{self.path}: {name} is a symbolic link. Pack it again with zip -r, without -y or --symlinks."
                )

    def read(self, selected: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield (name, content) of the selected files, sorted by name."""
        with zipfile.ZipFile(self.path) as archive:
            members = {_name(member): member for member in archive.infolist()}
            for name in sorted(selected):
                check_size(self.path, name, members[name].file_size)
                yield name, archive.read(members[name])


def _name(member: zipfile.ZipInfo) -> str:
    return clean(member.filename)


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, size: int) -> bytes:
    with archive.open(member) as content:
        return content.read(size)
