"""A zip, of whatever tool."""

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from asymbp_cli.datasets.archives.base import check_size
from asymbp_cli.datasets.archives.names import clean, is_hidden, is_image, leads_to_images
from asymbp_cli.datasets.archives.signatures import START
from asymbp_cli.errors import DataError

_UNPACK = "Unpack it and name the folder, or pack it again"
_METHODS = {
    9: "Deflate64, as Windows does with large folders",
    93: "Zstandard",
    95: "XZ",
    97: "WavPack",
    98: "PPMd",
}
_ENCRYPTED = 1  # bit of the flags
_UTF8 = 1 << 11  # likewise
_DOS_FOLDER = 0x10  # of the attributes
_UNIX = (3, 19)  # systems on which a backslash may be part of a name: Unix, macOS
_UNICODE_PATH = 0x7075  # extra field of Info-ZIP


class Zip:
    """A zip. Its methods raise BadZipFile and others on damage, DataError on what cannot be read here."""

    def __init__(self, path: Path) -> None:
        """Read the zip at `path`."""
        self.path = path

    def walk(self) -> Iterator[tuple[str, bool]]:
        """Yield the name of each file and whether it is an image; names of folders end with a slash."""
        images: dict[str, bool] = {}
        links: list[tuple[str, str]] = []
        self._refuse_part()
        with zipfile.ZipFile(self.path) as archive:
            members = [(name, member) for name, member in _list(archive) if not is_hidden(name)]
            files = [member for name, member in members if not name.endswith("/")]
            self._refuse_unreadable(archive, files)
            for name, member in members:
                if name.endswith("/"):
                    yield name, False
                elif stat.S_ISLNK(member.external_attr >> 16):
                    links.append((name, archive.read(member).decode("utf-8", "replace")))
                elif name:
                    images[name] = is_image(name, partial(_read_start, archive, member))
                    yield name, images[name]
        for name, target in links:
            if leads_to_images(name, target, images):
                raise DataError(f"{self.path}: {name} is a symbolic link. Pack it again with zip -r, without -y.")

    def read(self, selected: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield (name, content) of the selected files, sorted by name."""
        with zipfile.ZipFile(self.path) as archive:
            members = dict(_list(archive))
            for name in sorted(selected):
                check_size(self.path, name, members[name].file_size)
                yield name, archive.read(members[name])

    def _refuse_part(self) -> None:
        """Raise DataError if the zip is the last of several parts: its last record tells how many."""
        with self.path.open("rb") as file:
            file.seek(max(0, os.path.getsize(self.path) - (1 << 17)))
            end = file.read()
        record = end.rfind(b"PK\5\6")
        disk = int.from_bytes(end[record + 4 : record + 6], "little") if record >= 0 else 0
        if 0 < disk < 0xFFFF:  # all ones: the number is kept elsewhere
            raise DataError(
                f"{self.path} is the last of {disk + 1} parts of a zip. Unpack them together and name the folder."
            )

    def _refuse_unreadable(self, archive: zipfile.ZipFile, files: list[zipfile.ZipInfo]) -> None:
        """Raise DataError if files are encrypted, or compressed in a way that is not known here."""
        if any(file.flag_bits & _ENCRYPTED for file in files):
            raise DataError(f"{self.path} is encrypted (it wants a password). {_UNPACK} without one.")
        for method, file in {file.compress_type: file for file in files}.items():
            try:
                archive.open(file).close()
            except NotImplementedError as error:
                named = _METHODS.get(method, f"method {method}")
                raise DataError(
                    f"{self.path} is compressed with {named}, which cannot be read here. {_UNPACK}: as .tar.gz, "
                    "or as .zip with another tool."
                ) from error


def _list(archive: zipfile.ZipFile) -> list[tuple[str, zipfile.ZipInfo]]:
    """Return the members with their names: with forward slashes, and in UTF-8 if all names without a flag are.

    One tool has made the archive, so what is true of one name is true of all.
    """
    members = archive.infolist()
    unknown = [m for m in members if not (m.filename.isascii() or m.flag_bits & _UTF8 or _unicode_path(m))]
    in_utf8 = all(_try_utf8(member.filename) is not None for member in unknown)
    separates = not any("/" in member.filename for member in members)
    return [(_name(member, in_utf8=in_utf8, separates=separates), member) for member in members]


def _name(member: zipfile.ZipInfo, *, in_utf8: bool, separates: bool) -> str:
    """Return the name of a member; `separates` says whether backslashes are between folders.

    Of Windows they always are, unless they may be half of a letter of another code page.
    """
    name = member.filename
    separates = separates or (name.isascii() and member.create_system not in _UNIX)
    if not name.isascii() and not member.flag_bits & _UTF8:
        name = _unicode_path(member) or (in_utf8 and _try_utf8(name)) or name
    if separates:
        name = name.replace("\\", "/")
    folder = member.external_attr & _DOS_FOLDER or stat.S_ISDIR(member.external_attr >> 16)
    return clean(f"{name}/" if folder and not name.endswith("/") else name)


def _try_utf8(name: str) -> str | None:
    """Return a name that was read as code page 437, the standard's, anew as UTF-8; None if it is not."""
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return None


def _unicode_path(member: zipfile.ZipInfo) -> str:
    """Return the name in UTF-8 that Info-ZIP and others keep beside the name; "" if there is none."""
    extra = member.extra
    while len(extra) >= 4:
        kind, size = int.from_bytes(extra[:2], "little"), int.from_bytes(extra[2:4], "little")
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        checksum = int.from_bytes(field[1:5], "little")
        if kind == _UNICODE_PATH and checksum == zlib.crc32(member.orig_filename.encode("cp437", "replace")):
            return field[5:].decode("utf-8", "replace")
    return ""


def _read_start(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as content:
        return content.read(START)
