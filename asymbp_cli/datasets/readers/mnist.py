"""MNIST and Fashion-MNIST: four idx files as torchvision keeps them, or as browsers, Kaggle and others leave them.

Fashion-MNIST, KMNIST and others have the names and shapes of MNIST, so only files with the published MD5 are read.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from asymbp_cli.datasets.archives.signatures import START, find_kind
from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.checksums import signature
from asymbp_cli.datasets.entry import Archive
from asymbp_cli.datasets.readers.base import Absent, FoundDataset, OpenDataset, open_arrays
from asymbp_cli.datasets.readers.copies import CLASSES, find_named, locate_copy
from asymbp_cli.datasets.readers.idx import PARTS, find_idx_files, find_misnamed, parse, part_of, unpack
from asymbp_cli.errors import DataError


def locate(key: str, root: Path) -> FoundDataset | Absent:
    """Return the dataset `key` if its four files are in `root`, else a copy of it as pictures."""
    entry, files = CATALOG[key], _find_files(key, root)
    if len(files) < len(PARTS):
        copy = locate_copy(key, root)
        return copy if isinstance(copy, FoundDataset) else _describe(key, root, files)
    source = [signature(files[part]) for part in PARTS]
    place = files[PARTS[0]].parent
    return FoundDataset.of(entry, source, lambda: _open(key, files), place, exact=entry.paper is not None)


def _describe(key: str, root: Path, files: dict[str, Path]) -> Absent:
    """Return which files are there, and which are missing, with those whose names are almost right."""
    places = {file.parent for file in files.values()} or _own_places(key, root)
    misnamed = {part: file for place in places for part, file in find_misnamed(place).items()}
    here = {**misnamed, **files}
    missing = [
        Path(archive.name).stem + (f" (rename {misnamed[part].name})" if part in misnamed else "")
        for part, archive in _archives(key).items()
        if part not in files
    ]
    return Absent(tuple(here[part] for part in PARTS if part in here), tuple(missing)) if here else Absent()


def _archives(key: str) -> dict[str, Archive]:
    return {part_of(Path(archive.name).name): archive for archive in CATALOG[key].archives}


def _find_files(key: str, root: Path) -> dict[str, Path]:
    """Return the file of each part, as far as it is there, from the first place that has one."""
    files: dict[str, Path] = {}
    for place in (*_own_places(key, root), *_shared_places(key, root)):
        for part, found in find_idx_files(place).get("", {}).items():
            files.setdefault(part, found[0])
    return files


def _own_places(key: str, root: Path) -> list[Path]:
    """Return the folders whose names say that they hold the dataset, the published one first."""
    published = root / Path(CATALOG[key].archives[0].name).parent
    return [published, *(place for folder in find_named(key, root) for place in (folder / "raw", folder))]


def _shared_places(key: str, root: Path) -> Iterator[Path]:
    """Yield the folders that may hold this dataset or another, if the labels there are those of this one."""
    for place in (root / "raw", root):
        for part, files in find_idx_files(place).get("", {}).items():
            if part.endswith("labels") and _is_published(key, part, files[0]):
                yield place
                break


def _read_published(key: str, part: str, file: Path) -> bytes:
    """Return the unpacked bytes of a file; raises DataError if it is not the published one, by its MD5."""
    try:
        content = unpack(file)
    except DataError as error:
        raise DataError(f"{file} is not the published file ({error}) Delete it and use --download.") from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != _archives(key)[part].unpacked_md5:
        kind = find_kind(content[:START])
        reason = f"it is {kind.name}" if kind else "MD5 differs"
        raise DataError(f"{file} is not the published file ({reason}). Delete it and use --download.")
    return content


def _is_published(key: str, part: str, file: Path) -> bool:
    try:
        return bool(_read_published(key, part, file))
    except DataError:
        return False


def _open(key: str, files: dict[str, Path]) -> OpenDataset:
    arrays = {part: parse(_read_published(key, part, files[part]), files[part]) for part in PARTS}
    train, test = (
        (arrays[f"{split}-images"], arrays[f"{split}-labels"].astype(np.int64)) for split in ("train", "t10k")
    )
    return open_arrays(train, test, CLASSES[key])
