"""Small generated images, and a shortcut to decode them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import miniatures
import numpy as np
import pytest
from PIL import Image

from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.source import DataSource

Grow = Callable[..., Path]
Install = Callable[[str], Path]


@pytest.fixture
def grow(tmp_path: Path) -> Grow:
    """Return a function that makes a tree of 6x4 random images, as grow("name", {"cat": 4, "dog": 3})."""

    def make(name: str, counts: dict[str, int]) -> Path:
        source = np.random.default_rng(0)
        for folder, count in counts.items():
            directory = tmp_path / name / folder
            directory.mkdir(parents=True)
            for i in range(count):
                pixels = source.integers(0, 256, (4, 6, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(directory / f"{i}.png")
        return tmp_path / name

    return make


@pytest.fixture
def decoded(tmp_path: Path) -> Callable[..., DecodedDataset]:
    """Return a function that decodes a folder or archive into a cache of this test, at 4x6x3."""

    def run(path: Path, shape: tuple[int, int, int] = (4, 6, 3), **options: Any) -> DecodedDataset:
        return prepare(FolderSource(folder=str(path), **options), shape, DataSource(cache_dir=tmp_path / "cache"))

    return run


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that writes a dataset's miniature and returns its data directory."""

    def write(key: str) -> Path:
        root = tmp_path / key
        root.mkdir()
        miniatures.install(key, root, monkeypatch)
        return root

    return write
