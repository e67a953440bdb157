"""The published files themselves, from the directory that ASYMBP_DATA names."""

from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from asymbp_cli.datasets.catalog import CATALOG, FolderSource
from asymbp_cli.datasets.content import ContentChecksum
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.readers import READERS, folder
from asymbp_cli.datasets.readers.base import FoundDataset
from asymbp_cli.datasets.readers.copies import CLASSES
from asymbp_cli.datasets.resident import load
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import DataError


def here(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def test_mnist(real_data: Path, tmp_path: Path) -> None:
    here(real_data / "MNIST" / "raw")
    info = prepare("mnist", (28, 28, 1), DataSource(data_dir=real_data, cache_dir=tmp_path))
    assert info.exact
    assert (info.train_count, info.test_count) == (60_000, 10_000)
    assert info.fingerprint == "3292e2955b5afa36022d49f0078fced06ddb9adc6df2ba4c91baf8bad2190bba"
    labels = np.load(info.path / "y_test.npy")
    assert 100 - 100 * (labels == 1).mean() == pytest.approx(88.65)  # the paper's dead network always answers "1"
    data = load(info)
    assert data.mean.mean() / 255 == pytest.approx(0.1307, abs=1e-4)  # as everybody's normalization has it
    spread = load(info, preprocessing="mean-pixel")
    assert 1 / spread.inverse_std / 255 == pytest.approx(0.3081, abs=1e-4)


def test_the_content_of_mnist(real_data: Path) -> None:
    here(real_data / "MNIST" / "raw")
    dataset = READERS["mnist"](real_data)
    assert isinstance(dataset, FoundDataset)
    opened = dataset.open()
    content = ContentChecksum()
    for split, position, image in opened.images(1):
        assert not isinstance(image, DataError)
        content.add(split, image, int(opened.labels[split][position]))
    assert content.hexdigest() == CATALOG["mnist"].content


def test_a_jpeg_copy_of_cifar10(real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "cifar10-jpeg.tar.xz").symlink_to(here(real_data / "cifar10-jpeg.tar.xz").absolute())
    dataset = READERS["cifar10"](tmp_path)
    assert isinstance(dataset, FoundDataset)
    assert dataset.label == "CIFAR-10 (JPEG copy)"
    opened = dataset.open()
    assert opened.classes == CLASSES["cifar10"]
    assert np.bincount(opened.train_labels).tolist() == [5000] * 10
    assert np.bincount(opened.test_labels).tolist() == [1000] * 10
    _, _, image = next(opened.images(3))
    assert not isinstance(image, DataError)
    assert image.shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("key", "file", "shape"),
    [
        ("cifar10", "cifar10-lossless.zip", (32, 32, 3)),
        ("fashion-mnist", "fashion-mnist.tar.gz", (28, 28, 1)),
    ],
)
def test_a_lossless_copy_is_the_set_itself(
    key: str, file: str, shape: tuple[int, int, int], real_data: Path, tmp_path: Path
) -> None:
    (tmp_path / file).symlink_to(here(real_data / file).absolute())
    info = prepare(key, shape, DataSource(data_dir=tmp_path, cache_dir=tmp_path))
    assert (info.label, info.exact) == (CATALOG[key].label, CATALOG[key].paper is not None)
    assert info.content == CATALOG[key].content
    for (known, split), (mean, deviation, digits) in STATISTICS.items():
        if known == key:
            pixels = np.load(info.path / f"x_{split}.npy")
            found = [measure(pixels[..., channel]) for channel in range(shape[2])]
            assert found == [pytest.approx(pair, abs=10**-digits) for pair in zip(mean, deviation, strict=True)]


#: mean and deviation of each channel, as others have published them, with so many digits
STATISTICS: dict[tuple[str, str], tuple[list[float], list[float], int]] = {
    ("fashion-mnist", "train"): ([0.2860], [0.3530], 4),
    ("cifar10", "train"): (
        [0.49139967861519607, 0.48215840839460783, 0.44653091444546567],
        [0.2470322324632819, 0.24348512800005573, 0.26158784172796434],
        14,
    ),
    ("cifar10", "test"): (
        [0.4942142800245098, 0.4851313890165441, 0.4504090927542892],
        [0.24665251509498004, 0.24289226346005355, 0.26159237802202373],
        14,
    ),
}


def measure(pixels: np.ndarray) -> tuple[float, float]:
    """Return mean and deviation of bytes, as parts of 255, from exact sums."""
    counts = np.bincount(pixels.ravel(), minlength=256).tolist()
    count, total = sum(counts), sum(n * level for level, n in enumerate(counts))
    squares = sum(n * level**2 for level, n in enumerate(counts))
    return total / count / 255, sqrt(count * squares - total**2) / count / 255


def test_flowers17(real_data: Path) -> None:
    archive = here(real_data / "flowers17.tar")
    located = folder.locate(FolderSource(folder=str(archive), train_per_class=60))
    opened = located.open()
    assert located.label == "flowers17"
    assert (opened.classes[0], len(opened.classes)) == ("01_daffodil", 17)
    assert np.bincount(opened.train_labels).tolist() == [60] * 17
    assert np.bincount(opened.test_labels).tolist() == [20] * 17
