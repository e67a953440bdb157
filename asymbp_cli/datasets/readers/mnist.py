"""MNIST as torchvision keeps it: four idx files in MNIST/raw/, packed or not."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.readers import Located, Opened, arrays
from asymbp_cli.datasets.signature import check_md5, signature
from asymbp_cli.errors import DataError

_SPLITS = {"train": "train", "test": "t10k"}


def locate(root: Path) -> Located | None:
    """Return MNIST if all four files lie under `root`, else None."""
    directory = root / "MNIST" / "raw"
    names = [Path(archive.name).stem for archive in CATALOG["mnist"].archives]
    files = [_either(directory / name) for name in names]
    if any(file is None for file in files):
        return None
    source = [signature(file) for file in files if file]
    return Located("mnist", "MNIST", "MNIST", True, source, lambda: _open(directory))


def _either(file: Path) -> Path | None:
    packed = file.with_name(file.name + ".gz")
    return file if file.is_file() else packed if packed.is_file() else None


def _open(directory: Path) -> Opened:
    parts = []
    for prefix in _SPLITS.values():
        images = read_idx(_found(directory / f"{prefix}-images-idx3-ubyte"))
        labels = read_idx(_found(directory / f"{prefix}-labels-idx1-ubyte")).astype(np.int64)
        if images.shape[1:] != (28, 28) or len(images) != len(labels) or not len(labels) or labels.max() > 9:
            raise DataError(f"{directory}/{prefix}-*: images and labels do not belong together; fetch them again")
        parts.append((images, labels))
    return arrays(parts[0], parts[1], tuple(str(digit) for digit in range(10)))


def _found(file: Path) -> Path:
    found = _either(file)
    if found is None:
        raise DataError(f"{file} has gone; put it back or use --download")
    return found


def read_idx(file: Path) -> NDArray[np.uint8]:
    """Return the array of an idx file of unsigned bytes, unpacking .gz.

    Raises DataError naming the file where it is damaged, incomplete, or not the published archive (MD5).
    """
    published = {Path(archive.name).name: archive.md5 for archive in CATALOG["mnist"].archives}
    if file.name in published:
        check_md5(file, published[file.name])
    try:
        content = file.read_bytes()
        if file.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file} cannot be read: {error}; delete it and use --download") from error
    dimensions = content[3] if len(content) > 4 and content[:3] == b"\0\0\x08" else 0
    start = 4 + 4 * dimensions
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    if not dimensions or len(content) - start != math.prod(shape):
        raise DataError(
            f"{file} is damaged: {len(content)} bytes are not a whole idx file; delete it, use --download"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
