"""SVHN, cropped digits, as torchvision keeps it: two .mat files."""

from pathlib import Path
from typing import Any

import numpy as np

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.checksums import signature
from asymbp_cli.datasets.readers.base import (
    Absent,
    FoundDataset,
    OpenDataset,
    find_parts,
    open_arrays,
    verify_archive,
)
from asymbp_cli.datasets.readers.matlab import load
from asymbp_cli.errors import DataError


def locate(root: Path) -> FoundDataset | Absent:
    """Return SVHN if both files are in `root`."""
    entry = CATALOG["svhn"]
    files = find_parts([root, root / "svhn", root / "SVHN"], [[archive.name] for archive in entry.archives])
    if isinstance(files, Absent):
        return files
    return FoundDataset.of(entry, [signature(file) for file in files], lambda: _open(files), files[0])


def _open(files: list[Path]) -> OpenDataset:
    train, test = map(_read, files)
    return open_arrays(train, test, tuple(str(digit) for digit in range(10)))


def _read(file: Path) -> tuple[Any, Any]:
    """Return (uint8 images [N, 32, 32, 3], int64 labels [N]); the file's label 10 is the digit 0."""
    verify_archive(CATALOG["svhn"], file)
    images, labels = load(file, "X", "y")
    if images.shape[:3] != (32, 32, 3) or images.shape[3:] != (labels.size,):
        raise DataError(
            f"{file} holds images {images.shape} and {labels.size} labels. Delete it and fetch it again."
        )
    if images.dtype != np.uint8 or labels.min() < 1 or labels.max() > 10:
        raise DataError(
            f"{file} holds {images.dtype} images, labels {labels.min()} to {labels.max()}. Fetch it again."
        )
    return images.transpose(3, 0, 1, 2).astype(np.uint8), labels.ravel().astype(np.int64) % 10
