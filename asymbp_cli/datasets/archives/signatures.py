"""What a file is, by its first bytes."""

import re
from pathlib import Path
from typing import NamedTuple

START = 512  # bytes that every function here wants, if the file has as many


class Kind(NamedTuple):
    """What a file is that is neither an image nor an archive that can be read here, and what to do."""

    name: str
    remedy: str


#: of pictures that Pillow reads, and of HEIC and JPEG XL
_PICTURE = re.compile(
    b"|".join(
        (
            rb"\xff\xd8\xff",  # JPEG, MPO
            rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",  # JPEG 2000
            rb"\x00\x00\x00\x0cJXL \r\n\x87\n",  # JPEG XL
            rb"\x89PNG\r\n\x1a\n",  # PNG
            rb"GIF8[79]a",  # GIF
            rb"RIFF.{4}WEBP",  # WebP
            rb".{4}ftyp(avi[fs]|hei[cfmsx]|hev[cmsx]|mif1|msf1)",  # AVIF, HEIC
            rb"II[*+]\x00|MM\x00[*+]",  # TIFF
            rb"BM.{4}\x00{4}",  # BMP
            rb"P[1-6f]\s",  # PBM, PGM, PPM, PFM
            rb"\x00\x00[\x01\x02]\x00[^\x00]\x00|icns",  # ICO, CUR, ICNS
            rb"8BPS\x00\x01|qoif|DDS |BLP[12]|FTEX",  # PSD, QOI, DDS, BLP, FTEX
            rb"\x59\xa6\x6a\x95|\x01\xda[\x00\x01][\x01\x02]",  # Sun, SGI
            rb"\x0a[\x00\x02\x03\x05]\x01[\x01\x02\x04\x08]|\xb1\x68\xde\x3a",  # PCX, DCX
            rb"#define \w+_width\s|/\* XPM \*/",  # XBM, XPM
        )
    ),
    re.DOTALL,
)


#: what copies make of a symbolic link: its text, or that of Cygwin, or of a share of Windows
_LINK = re.compile(rb"(?:\.\.?/)+[^\s\0]+\s*\Z|XSym\n\d{4}\n|!<symlink>|IntxLNK\x01")


def is_link(start: bytes) -> bool:
    """Return whether a file that starts so is what is left of a symbolic link."""
    return _LINK.match(start) is not None


def is_picture(start: bytes) -> bool:
    """Return whether a file that starts so is a picture."""
    return _PICTURE.match(start) is not None


_FETCH = "Fetch it again"
_UNPACK = "Unpack it and name the folder, or pack it again as .tar.gz or .zip"
_SAVE = "Save it as JPEG or PNG"
_NAME_FOLDER = "Name a folder or archive of images"
_KINDS = tuple(
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), Kind(name, remedy))
    for pattern, name, remedy in (
        (rb"\Z", "an empty file", _FETCH),
        (
            rb"(\xef\xbb\xbf)?\s*(<!doctype|<html|<head|<body|<script|<!--)",
            "a web page (a login or an error?)",
            _FETCH,
        ),
        (rb"\s*<\?xml.*<svg|\s*<svg", "a drawing (SVG)", _SAVE),
        (rb"\s*(<\?xml|\{\s*\")", "a message of a server", _FETCH),
        (rb"version https://git-lfs", "a pointer of Git LFS", "Type git lfs pull, or fetch the file itself"),
        (
            rb"(\.\./)*(\.git|/)?/?annex/objects/",
            "a pointer of git-annex",
            "Type git annex get, or fetch the file itself",
        ),
        (
            rb".{4}ftyp(hei[cfmsx]|hev[cmsx]|mif1|msf1)",
            "a HEIC picture, which this installation cannot read",
            _SAVE,
        ),
        (rb"\xff\x0a|\x00\x00\x00\x0cJXL ", "a JPEG XL picture, which this installation cannot read", _SAVE),
        (rb"Rar!\x1a\x07", "a RAR archive", _UNPACK),
        (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
        (rb"[\x22-\x28]\xb5\x2f\xfd", "compressed with zstd", _UNPACK),
        (rb"\x04\x22\x4d\x18", "compressed with lz4", _UNPACK),
        (rb"LZIP", "compressed with lzip", _UNPACK),
        (rb"\x1f[\x9d\xa0]", "compressed with compress", _UNPACK),
        (rb"0707(01|02|07)", "a cpio archive", _UNPACK),
        (rb"MSCF", "a cabinet of Windows", _UNPACK),
        (rb"xar!|hsqs|!<arch>", "an archive of another kind", _UNPACK),
        (rb"%PDF|%!PS", "a document (PDF or PostScript)", _SAVE),
        (rb"\x89HDF\r\n", "an HDF5 file", _NAME_FOLDER),
        (rb"PAR1", "a Parquet file", _NAME_FOLDER),
        (rb"SQLite format 3", "a database (SQLite)", _NAME_FOLDER),
        (rb"\x93NUMPY", "an array of NumPy", _NAME_FOLDER),
        (rb"MATLAB 5\.0", "a MATLAB file", _NAME_FOLDER),
    )
)


def find_kind(start: bytes) -> Kind | None:
    """Return the kind of a file that starts so, if it is known and cannot be read here."""
    return next((kind for pattern, kind in _KINDS if pattern.match(start)), None)


def read_mistake(file: Path) -> Kind | None:
    """Return the kind of what came instead of a published file, such as a web page; None if it is not known."""
    try:
        with file.open("rb") as content:
            kind = find_kind(content.read(START))
    except OSError:
        return None
    return None if kind and kind.remedy == _NAME_FOLDER else kind  # data, perhaps in the published format
