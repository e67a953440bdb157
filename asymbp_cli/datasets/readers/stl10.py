"""STL-10's labelled images: four binary files, unpacked or in the archive. The unlabelled are not needed."""

import tarfile
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.checksums import signature, verify
from asymbp_cli.datasets.readers.base import (
    Absent,
    FoundDataset,
    OpenDataset,
    find_parts,
    open_arrays,
    verify_archive,
)
from asymbp_cli.errors import DataError
from asymbp_cli.files.paths import is_file

_FOLDER = "stl10_binary"
_SIDE = 96  # px
MD5 = {  # torchvision 0.27, datasets/stl10.py
    "train_X.bin": "918c2871b30a85fa023e0c44e0bee87f",
    "train_y.bin": "5a34089d4802c674881badbb80307741",
    "test_X.bin": "7f263ba9f9e0b06b93213547f721ac82",
    "test_y.bin": "36f9794fa4beb8a2c72628de14fa638e",
}
_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


def locate(root: Path) -> FoundDataset | Absent:
    """Return STL-10 from `root`, unpacked or the archive."""
    entry, archive = CATALOG["stl10"], root / CATALOG["stl10"].archives[0].name
    files = find_parts([root / _FOLDER], [[name] for name in MD5])
    if isinstance(files, list):
        source = [signature(file) for file in files]
        return FoundDataset.of(entry, source, lambda: _open_directory(root / _FOLDER), root / _FOLDER)
    if is_file(archive):
        return FoundDataset.of(entry, [signature(archive)], lambda: _open_archive(archive), archive)
    return files


def _open_directory(directory: Path) -> OpenDataset:
    for name, published in MD5.items():
        verify(directory / name, published, "Delete it and fetch it again: asymbp data fetch stl10")
    return _join({name: (directory / name).read_bytes() for name in MD5}, directory)


def _open_archive(archive: Path) -> OpenDataset:
    verify_archive(CATALOG["stl10"], archive)
    contents = {}
    with tarfile.open(archive, "r|*") as tar:
        for member in tar:
            name = PurePosixPath(member.name).name
            content = tar.extractfile(member) if name in MD5 else None
            if content:
                contents[name] = content.read()
            if len(contents) == len(MD5):
                break
    return _join(contents, archive)


def _join(content: dict[str, bytes], origin: Path) -> OpenDataset:
    if missing := sorted(MD5.keys() - content.keys()):
        raise DataError(f"{origin} holds no {missing[0]}. Delete it and fetch it again: asymbp data fetch stl10")
    for name, data in content.items():
        if name.endswith("X.bin") and len(data) % (3 * _SIDE**2):
            raise DataError(
                f"{origin}: {name} does not hold a whole number of images. Fetch it again: asymbp data fetch stl10"
            )
    splits = [(_pixels(content[f"{name}_X.bin"]), _labels(content[f"{name}_y.bin"])) for name in ("train", "test")]
    return open_arrays(splits[0], splits[1], _CLASSES)


def _pixels(content: bytes) -> NDArray[np.uint8]:
    """Return images [N, 96, 96, 3]; the file holds channel by channel, column by column."""
    return np.frombuffer(content, np.uint8).reshape(-1, 3, _SIDE, _SIDE).transpose(0, 3, 2, 1)


def _labels(content: bytes) -> NDArray[np.int64]:
    """Return labels from 0; the file counts from 1."""
    return np.frombuffer(content, np.uint8).astype(np.int64) - 1
