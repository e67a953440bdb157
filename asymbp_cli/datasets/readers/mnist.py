"""MNIST as torchvision keeps it: four idx files in MNIST/raw/, packed or not.

FashionMNIST, KMNIST and others have the same names and shapes, so only files with the published MD5 are read.
"""

import gzip
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.checksums import signature, verify
from asymbp_cli.datasets.readers.base import Absent, FoundDataset, OpenDataset, open_arrays
from asymbp_cli.errors import DataError
from asymbp_cli.paths import is_file


def locate(root: Path) -> FoundDataset | Absent:
    """Return MNIST if all four files are in `root`, else None."""
    directory = root / "MNIST" / "raw"
    files = [_either(directory, name) for name in _checksums() if not name.endswith(".gz")]
    if any(file is None for file in files):
        return Absent()
    source = [signature(file) for file in files if file]
    return FoundDataset.of(CATALOG["mnist"], source, lambda: _open(directory))


def _checksums() -> dict[str, str]:
    """Return the MD5 of each file as published, by name, packed and unpacked."""
    archives = CATALOG["mnist"].archives
    packed = {Path(archive.name).name: archive.checksum for archive in archives}
    return packed | {Path(archive.name).stem: archive.unpacked_md5 for archive in archives}


def _either(directory: Path, name: str) -> Path | None:
    return next((file for file in (directory / name, directory / f"{name}.gz") if is_file(file)), None)


def _open(directory: Path) -> OpenDataset:
    train, test = (
        (
            _read(directory, f"{prefix}-images-idx3-ubyte"),
            _read(directory, f"{prefix}-labels-idx1-ubyte").astype(np.int64),
        )
        for prefix in ("train", "t10k")
    )
    return open_arrays(train, test, tuple(str(digit) for digit in range(10)))


def _read(directory: Path, name: str) -> NDArray[np.uint8]:
    """Return the array of an idx file of unsigned bytes; raises DataError if it is not the published one."""
    file = _either(directory, name)
    if file is None:
        raise DataError(f"{directory / name} is missing. Restore it or use --download.")
    verify(file, _checksums()[file.name])
    content = file.read_bytes()
    if file.suffix == ".gz":
        content = gzip.decompress(content)
    start = 4 + 4 * content[3]
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    return np.frombuffer(content, np.uint8, offset=start, count=math.prod(shape)).reshape(shape)
