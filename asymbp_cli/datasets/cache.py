"""The cache of decoded datasets: four arrays in a directory, and info.json, which says that they are whole."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from asymbp_cli.datasets.checksums import signature
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.readers.base import SplitName
from asymbp_cli.files import replace
from asymbp_cli.paths import environment_path

SPLITS: tuple[SplitName, ...] = ("train", "test")
ARRAYS = tuple(f"{array}_{split}.npy" for split in SPLITS for array in "xy")
_INFO = "info.json"
_CHUNK = 4096  # samples that are hashed at once


def cache_directory(option: Path | None) -> Path:
    """Return the directory of decoded datasets: the option, $ASYMBP_CACHE, or the user's cache directory."""
    return option or environment_path("ASYMBP_CACHE") or user_cache_path("asymbp")


def read_info(directory: Path) -> DecodedDataset | None:
    """Return the dataset of an intact cache, else None."""
    try:
        content = json.loads((directory / _INFO).read_text(encoding="utf-8"))
        signatures = content.pop("files")
        info = DecodedDataset.model_validate_json(json.dumps(content | {"directory": str(directory)}))
        return info if signatures == _signatures(directory) or _is_as_decoded(info) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):  # pydantic's is a ValueError
        return None


def write_info(info: DecodedDataset, directory: Path) -> None:
    """Declare the arrays of `directory` whole. Raises OSError."""
    content = json.dumps(info.model_dump(mode="json") | {"files": _signatures(directory)})
    replace(directory / _INFO, content.encode())


def fingerprint(
    classes: tuple[str, ...],
    shape: tuple[int, ...],
    pixels: dict[SplitName, NDArray[Any]],
    labels: dict[SplitName, NDArray[np.int64]],
) -> str:
    """Return the SHA-256 of class names, pixels and labels, which is the identity of a dataset in runs."""
    digest = hashlib.sha256(json.dumps([classes, shape]).encode())
    for split, y in labels.items():
        for i in range(0, len(y), _CHUNK):
            digest.update(pixels[split][i : i + _CHUNK].tobytes())
        digest.update(y.tobytes())
    return digest.hexdigest()


def _signatures(directory: Path) -> dict[str, list[int]]:
    """Return sizes, times and inode of each array; while these stay, so do the contents."""
    return {name: list(signature(directory / name)[1:]) for name in ARRAYS}


def _is_as_decoded(info: DecodedDataset) -> bool:
    """Return whether arrays that were touched still hold what was decoded, and remember it if they do."""
    pixels: dict[SplitName, NDArray[Any]] = {}
    labels: dict[SplitName, NDArray[np.int64]] = {}
    for split in SPLITS:
        pixels[split] = np.load(info.path / f"x_{split}.npy", mmap_mode="r")
        labels[split] = np.load(info.path / f"y_{split}.npy")
    if fingerprint(info.classes, info.shape, pixels, labels) != info.fingerprint:
        return False
    with suppress(OSError):  # a cache that may not be written is checked each time
        write_info(info, info.path)
    return True
