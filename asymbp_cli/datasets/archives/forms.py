"""Tell archives from each other, and from what is none, by their first bytes: names may be wrong."""

import bz2
import gzip
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asymbp_cli.datasets.archives.signatures import START, find_kind, is_picture

_ZIP = (b"PK\3\4", b"PK\5\6", b"PK\7\x08", b"PK00PK\3\4")
_PACKED: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}
_ISO, _ISO_AT = b"CD001", 0x8001  # ISO 9660: the first volume descriptor
_PART = re.compile(
    r"\.(z?[0-9]{2,}|a[a-z]|part[-_.]?\w+)", re.IGNORECASE
)  # endings of the parts of a split archive


def is_zip(path: Path) -> bool:
    """Return whether a file is a zip, and not a tar whose last member is one. Raises OSError."""
    start = _read(path, START)
    if start.startswith(_ZIP):
        return True
    return not (start.startswith(tuple(_PACKED)) or _is_tar(start)) and zipfile.is_zipfile(path)


def explain_other(path: Path) -> str:
    """Return the kind of a file that is no zip and no tar, and its remedy; "" if it may be one. Raises OSError."""
    start = _read(path, START)
    if start.startswith(tuple(_PACKED)):
        inner = _unpack(path, start)
        if inner is None or _is_tar(inner) or not inner.strip(b"\0"):  # damaged, a tar, or an empty one
            return ""
        again = " once more" if inner.startswith(tuple(_PACKED)) else ""
        return f"{path} is a single compressed file, not an archive. Unpack it{again}, and name what comes out."
    if _is_tar(start):
        return ""
    if kind := find_kind(start):
        return f"{path} is {kind.name}, not an archive that can be read here. {kind.remedy}."
    if is_picture(start):
        return f"{path} is a single picture. Name a folder or archive that holds a folder for each class."
    if _read(path, len(_ISO), _ISO_AT) == _ISO:
        return f"{path} is the image of a disk (ISO). Mount or unpack it, and name the folder."
    return ""


def explain_part(path: Path) -> str:
    """Return the remedy for a broken archive that is named as one part of several; "" if it is not."""
    if not _PART.fullmatch(path.suffix):
        return ""
    return f"{path} is one part of a split archive. Join its parts, or unpack them, and name the result."


def _read(path: Path, size: int, offset: int = 0) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _is_tar(start: bytes) -> bool:
    """Return whether a file that starts so is a tar, by the checksum of its first header."""
    try:
        tarfile.TarInfo.frombuf(start[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _unpack(path: Path, start: bytes) -> bytes | None:
    """Return the first bytes of what a packed file holds; None if it is not packed, or damaged."""
    unpack = next((unpack for magic, unpack in _PACKED.items() if start.startswith(magic)), None)
    if unpack is None:
        return None
    try:
        with unpack(path) as file:
            content: bytes = file.read(START)
            return content
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return None
