"""Published sets of which copies as pictures are made."""

import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from miniatures import ready
from numpy.typing import NDArray
from PIL import Image

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.decoded import DecodedDataset

Install = Callable[[str], Path]
KEYS = ("mnist", "fashion-mnist", "cifar10", "cifar100")
PUBLISHED = {
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
    "cifar10": "cifar-10-python.tar.gz",
    "cifar100": "cifar-100-python.tar.gz",
}


def samples(info: DecodedDataset, split: str) -> list[tuple[int, np.ndarray]]:
    images, labels = (np.load(info.path / f"{array}_{split}.npy") for array in "xy")
    return list(zip(labels.tolist(), images, strict=True))


def content_checksum(train: Iterable[tuple[int, NDArray[Any]]], test: Iterable[tuple[int, NDArray[Any]]]) -> str:
    """Return the content checksum of (label, pixels [H, W, C]), written down once more, from its definition."""
    splits = []
    for samples in (train, test):
        images = [
            hashlib.sha256(b"%d %dx%dx%d\n" % (label, *pixels.shape) + bytes(pixels.ravel().tolist())).digest()
            for label, pixels in samples
        ]
        splits.append(hashlib.sha256(b"".join(sorted(images))).digest())
    return hashlib.sha256(splits[0] + splits[1]).hexdigest()


def write_copy(info: DecodedDataset, root: Path, ending: str = ".png", names: Sequence[str] = ()) -> Path:
    """Write a decoded dataset as train/CLASS/N and test/CLASS/N, the last image first; return the folder."""
    for split in ("train", "test"):
        images, labels = (np.load(info.path / f"{array}_{split}.npy") for array in "xy")
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = root / split / (names or info.classes)[label]
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"{len(images) - i}{ending}"
            Image.fromarray(image.squeeze()).save(file, lossless=True)  # an option of WebP
    return root


@pytest.fixture
def published(install: Install, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[Path, DecodedDataset]]:
    """Return a function that decodes a miniature and lets the catalog expect its content."""

    def make(key: str) -> tuple[Path, DecodedDataset]:
        root = install(key)
        info = ready(key, root)
        content = content_checksum(samples(info, "train"), samples(info, "test"))
        monkeypatch.setitem(CATALOG, key, dataclasses.replace(CATALOG[key], content=content))
        return root, info

    return make


Published = Callable[[str], tuple[Path, DecodedDataset]]


def remove_published(key: str, root: Path) -> None:
    place = root / PUBLISHED[key]
    shutil.rmtree(place) if place.is_dir() else place.unlink()


def folder_names(info: DecodedDataset) -> list[str]:
    return [name.replace("/", "_") for name in info.classes]
