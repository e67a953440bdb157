"""The cache of decoded datasets: four arrays in a directory, and info.json, which has checksums of all.

info.json has the dataset's facts, the CRC-32 of each array's file ("arrays"), and that of all this ("checksum").
Files of before 0.6.0 have no checksums; then the fingerprint tells whether the arrays are whole.
"""

import hashlib
import json
import zlib
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.readers.base import SplitName
from asymbp_cli.files.paths import environment_path, is_file
from asymbp_cli.files.patience import patiently
from asymbp_cli.files.whole import replace, sweep

SPLITS: tuple[SplitName, ...] = ("train", "test")
ARRAYS = tuple(f"{array}_{split}.npy" for split in SPLITS for array in "xy")
_INFO = "info.json"
_CHUNK = 4096  # samples that are hashed at once
_CHUNK_BYTES = 1 << 22

Arrays = dict[SplitName, NDArray[Any]]
Info = tuple[DecodedDataset, dict[str, int] | None]  # the facts, and the checksums of the arrays if they are there


def cache_directory(option: Path | None) -> Path:
    """Return the directory of decoded datasets: the option, $ASYMBP_CACHE, or the user's cache directory."""
    return option or environment_path("ASYMBP_CACHE") or user_cache_path("asymbp")


def is_of_cache(path: Path) -> bool:
    """Return whether a resolved path is in the folder of a decoded dataset, or that of its lock."""
    locked = path.with_name(path.name.removeprefix(".").removesuffix(".lock"))
    return any(is_file(folder / _INFO) and is_file(folder / ARRAYS[0]) for folder in (path.parent, locked))


def read_info(directory: Path) -> DecodedDataset | None:
    """Return the dataset of a cache whose info.json is whole and fits its arrays, else None. It reads no array."""
    info = _read(directory)
    return info[0] if info else None


def read_verified(directory: Path) -> DecodedDataset | None:
    """Return the dataset of a cache of which every byte is as it was decoded, else None. It reads all arrays."""
    info = _read(directory)
    if info is None:
        return None
    facts, checksums = info
    try:
        if checksums is None and has_fingerprint(facts, directory):
            with suppress(OSError):  # a cache that may not be written is checked by its fingerprint each time
                write_info(facts, directory)
            return facts
        return facts if checksums == _checksums(directory) else None
    except OSError:
        return None


def has_fingerprint(info: DecodedDataset, directory: Path) -> bool:
    """Return whether the arrays in a directory are those of a dataset. It reads all of them."""
    try:
        arrays = _load(directory)
    except Exception:  # a header that is damaged
        return False
    return _fit(info, *arrays) and fingerprint(info.classes, info.shape, *arrays) == info.fingerprint


def write_info(info: DecodedDataset, directory: Path) -> None:
    """Declare the arrays of `directory` whole. Raises OSError."""
    sweep(directory / _INFO)
    content = info.model_dump(mode="json") | {"arrays": _checksums(directory)}
    replace(directory / _INFO, json.dumps(content | {"checksum": _checksum(content)}).encode())


def _read(directory: Path) -> Info | None:
    """Return facts and checksums if those are whole and the arrays have the shapes and types that they tell."""
    try:
        content = json.loads(patiently((directory / _INFO).read_bytes))
        checksum = content.pop("checksum", None)
        if checksum != _checksum(content) and not (checksum is None and "files" in content):
            return None
        content.pop("files", None)  # sizes and times of the arrays, of before 0.6.0
        checksums = content.pop("arrays", None)
        facts = DecodedDataset.model_validate_json(json.dumps(content | {"directory": str(directory)}))
        return (facts, checksums) if _fit(facts, *patiently(partial(_load, directory))) else None
    except Exception:  # the header of an array is read as Python, which can be damaged in many ways
        return None


def _fit(info: DecodedDataset, pixels: Arrays, labels: Arrays) -> bool:
    """Return whether arrays have the counts, the shape and the types of a dataset."""
    kind = np.uint8 if len(info.shape) == 3 else np.float32
    counts: dict[SplitName, int] = {"train": info.train_count, "test": info.test_count}
    return all(
        pixels[split].shape == (count, *info.shape)
        and pixels[split].dtype == kind
        and labels[split].shape == (count,)
        and labels[split].dtype == np.int64
        for split, count in counts.items()
    )


def _load(directory: Path) -> tuple[Arrays, Arrays]:
    """Return pixels and labels of both splits, memory-mapped. Raises anything if a header is damaged."""
    pixels, labels = (
        {split: np.load(directory / f"{array}_{split}.npy", mmap_mode="r") for split in SPLITS} for array in "xy"
    )
    return pixels, labels


def _checksum(content: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def _checksums(directory: Path) -> dict[str, int]:
    """Return the CRC-32 of the file of each array. Raises OSError."""
    return {name: _checksum_file(directory / name) for name in ARRAYS}


def _checksum_file(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            checksum = zlib.crc32(chunk, checksum)
    return checksum


def fingerprint(
    classes: tuple[str, ...],
    shape: tuple[int, ...],
    pixels: Arrays,
    labels: Arrays,
) -> str:
    """Return the SHA-256 of class names, pixels and labels, which is the identity of a dataset in runs."""
    digest = hashlib.sha256(json.dumps([classes, shape]).encode())
    for split, y in labels.items():
        for i in range(0, len(y), _CHUNK):
            digest.update(pixels[split][i : i + _CHUNK].tobytes())
        digest.update(y.tobytes())
    return digest.hexdigest()
