"""Names in trees of files: which are hidden, which are those of images."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from posixpath import dirname, join, normpath, splitext

from asymbp_cli.datasets.archives.signatures import is_link, is_picture
from asymbp_cli.errors import DataError
from asymbp_cli.text import is_number

#: endings of images, all that Pillow reads as pixels; one that cannot be decoded is an error
EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"}
    | {".png", ".apng", ".gif", ".webp", ".avif", ".avifs", ".heic", ".heif", ".hif", ".qoi"}
    | {".tif", ".tiff", ".psd", ".tga", ".icb", ".vda", ".vst", ".pcd", ".pxr", ".gbr"}
    | {".bmp", ".dib", ".ico", ".icns", ".cur", ".dds", ".blp", ".ftc", ".ftu", ".msp", ".pcx", ".dcx"}
    | {".pbm", ".pgm", ".ppm", ".pnm", ".pfm", ".xbm", ".xpm", ".ras", ".sgi", ".rgb", ".rgba", ".bw"}
)
#: what no image has as its ending or name, and no folder of images: a link of that name is passed over
_DOCUMENTS = frozenset(
    {".txt", ".md", ".rst", ".tex", ".htm", ".html", ".pdf", ".doc", ".docx", ".odt", ".log"}
    | {".csv", ".tsv", ".json", ".xml", ".yml", ".yaml", ".ini", ".cfg", ".mat", ".npy", ".py", ".sh", ".ipynb"}
    | {"authors", "changelog", "copying", "licence", "license", "makefile", "notice", "readme"}
)
#: left by macOS, Windows, Linux, and by network drives of Synology, QNAP, Buffalo, Apple; in lower case
_SYSTEM = frozenset(
    {"__macosx", "network trash folder", "temporary items", "thevolumesettingsfolder", "thefindbycontentfolder"}
    | {"$recycle.bin", "system volume information", "desktop.ini", "thumbs.db", "ehthumbs.db", "icon\r"}
    | {"@eadir", "@tmp", "@appstore", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "#work"}
    | {"lost+found", "__pycache__", "_vti_cnf", "_gsdata_", "~snapshot", "trashbox", "recycle bin"}
)
#: likewise, in this case only: `recycler` may be a class
_SYSTEM_EXACTLY = frozenset({"RECYCLER", "RECYCLED"})
_SYSTEM_PATTERN = re.compile(
    r".*@syno(eastream|resource)|@syno.*|network recycle bin [0-9]+|_nas_recycle_.*|found\.[0-9]{3}"
)


def is_hidden(name: str) -> bool:
    """Return whether a part of the path is hidden: begins with a dot, or is of those that systems leave."""
    above, _, last = name.rstrip("/").rpartition("/")
    return _is_hidden_part(last) or (above != "" and _is_hidden_above(above))


@lru_cache(maxsize=1 << 16)
def _is_hidden_above(folder: str) -> bool:
    return any(map(_is_hidden_part, folder.split("/")))


def _is_hidden_part(part: str) -> bool:
    if part.startswith("."):
        return part not in (".", "..")
    lower = part.lower()
    return lower in _SYSTEM or part in _SYSTEM_EXACTLY or _SYSTEM_PATTERN.fullmatch(lower) is not None


def ending(name: str) -> str:
    """Return the ending of a file's name in lower case: `.jpg`, or `""` if it has none."""
    suffix = splitext(name)[1].lower()
    return "" if suffix == "." else suffix


def is_image(name: str, read_start: Callable[[], bytes]) -> bool:
    """Return whether a file is an image: by its ending, or if that is missing or a number, by its first bytes.

    Raises DataError if these are what copies may leave of a symbolic link: a class would be lost.
    """
    suffix = ending(name)
    if suffix in EXTENSIONS:
        return True
    if suffix and not is_number(suffix[1:]):
        return False
    start = read_start()
    if is_link(start):
        raise DataError(
            f"{name} is the text of a symbolic link, as some copies leave it. Copy what it names, or remove it."
        )
    return is_picture(start)


def clean(name: str) -> str:
    """Return the name of a member of an archive without `./`, leading and double slashes."""
    if name.startswith(("./", "/")) or name == "." or "//" in name or "/./" in name:
        parts = [part for part in name.split("/") if part not in ("", ".")]
        name = "/".join(parts) + ("/" if parts and name.endswith("/") else "")
    return name


def leads_to_images(name: str, target: str, images: Mapping[str, bool]) -> bool:
    """Return whether a symbolic link may lead to an image or to a folder of images.

    `images` says of every file of the archive whether it is one. A link to what is not there is judged by names.
    """
    inside = normpath(join(dirname(name), target))
    if inside in images:
        return images[inside]
    return not (is_document(name) or is_document(target))


def is_document(name: str) -> bool:
    """Return whether a file is one of text or numbers, by its ending or name."""
    last = name.rpartition("/")[2].lower()
    return (ending(last) or last) in _DOCUMENTS
