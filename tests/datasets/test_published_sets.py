"""The published datasets in other places and containers hold the same data."""

import dataclasses
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import miniatures
import painted
import pytest
from folders import unpack
from miniatures import ready

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.checksums import digest
from asymbp_cli.datasets.entry import Draw
from asymbp_cli.datasets.readers import cifar, stl10
from asymbp_cli.errors import DataError

Install = Callable[[str], Path]


@pytest.mark.parametrize(
    ("key", "archive", "target"),
    [
        ("caltech256", "caltech256/256_ObjectCategories.tar", "."),
        ("caltech256", "caltech256/256_ObjectCategories.tar", "caltech256"),
        ("flowers17", "flowers-17/17flowers.tgz", "flowers-17"),
        ("flowers102", "flowers-102/102flowers.tgz", "flowers-102"),
        ("lfw", "lfw-funneled.tgz", "."),
        ("lfw", "lfw-funneled.tgz", "lfw"),  # one level deeper
        ("indoor67", "indoor67/indoorCVPR_09.tar", "indoor67"),
        ("indoor67", "indoor67/indoorCVPR_09.tar", "indoor67/indoorCVPR_09"),
    ],
)
def test_archive_and_folder_are_the_same_data(key: str, archive: str, target: str, install: Install) -> None:
    root = install(key)
    packed = ready(key, root)
    unpack(root / archive, root / target)
    assert ready(key, root).fingerprint == packed.fingerprint


def test_caltech_101_in_its_inner_archive_and_unpacked(install: Install) -> None:
    root = install("caltech101")
    expected = ready("caltech101", root).fingerprint
    outer = root / "caltech101" / "caltech-101.zip"
    with zipfile.ZipFile(outer) as archive:
        content = archive.read("caltech-101/101_ObjectCategories.tar.gz")
    outer.unlink()
    (root / "101_ObjectCategories.tar.gz").write_bytes(content)
    assert ready("caltech101", root).fingerprint == expected
    unpack(root / "101_ObjectCategories.tar.gz", root / "caltech101")
    assert ready("caltech101", root).fingerprint == expected


def test_stl_10_unpacked_needs_no_unlabelled_images(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    root = install("stl10")
    expected = ready("stl10", root).fingerprint
    unpack(root / "stl10_binary.tar.gz", root)
    (root / "stl10_binary" / "unlabeled_X.bin").unlink()
    md5 = {name: digest(root / "stl10_binary" / name, "0" * 32) for name in stl10.MD5}
    monkeypatch.setattr(stl10, "MD5", md5)
    assert ready("stl10", root).fingerprint == expected
    monkeypatch.setattr(stl10, "MD5", md5 | {"test_y.bin": "0" * 32})
    shutil.rmtree(root / "cache")
    with pytest.raises(DataError, match=r"test_y\.bin is not the published file .* asymbp data fetch stl10"):
        ready("stl10", root)


def test_cifar_100_unpacked(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    root = install("cifar100")
    expected = ready("cifar100", root)
    assert expected.classes == tuple(f"fine {i}" for i in range(6))
    unpack(root / "cifar-100-python.tar.gz", root)
    with pytest.raises(DataError, match="is not the published file"):
        ready("cifar100", root)
    folder = root / "cifar-100-python"
    sums = {name: digest(folder / name, "0" * 32) for name in ("train", "test", "meta")}
    parts = {name: {name: value} for name, value in sums.items()}
    monkeypatch.setattr(cifar, "CIFAR100", dataclasses.replace(cifar.CIFAR100, **parts))
    assert ready("cifar100", root).fingerprint == expected.fingerprint


def test_icub_in_a_zip(install: Install) -> None:
    root = install("icub")
    expected = ready("icub", root).fingerprint
    shutil.make_archive(str(root / "iCubWorld"), "zip", root, "iCubWorld")
    shutil.rmtree(root / "iCubWorld")
    assert ready("icub", root).fingerprint == expected


def test_the_copy_of_flowers_17_is_split_by_us_and_says_so(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = install("flowers17")
    shutil.rmtree(root / "flowers-17")
    counts = {"01_daffodil": 4, "02_snowdrop": 4, "03_lilyvalley": 4}
    files = miniatures._images(counts, "flowers17/{label}/image_{i:04d}.jpg")
    painted.packed(root / "flowers17.tar", files | {"flowers17/train.txt": b""}, "w")
    draw = Draw(classes=3, train=3, test=1, of=3, images=12)
    monkeypatch.setitem(CATALOG, "flowers17", dataclasses.replace(CATALOG["flowers17"], draw=draw))
    info = ready("flowers17", root)
    assert (info.label, info.paper_name, info.exact) == ("Flowers-17 (own split)", "Flowers17", False)
    assert (info.train_count, info.test_count) == (9, 3)
    assert "drawn with our own fixed seed" in info.note
