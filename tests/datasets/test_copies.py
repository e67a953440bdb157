"""Copies of published sets as pictures: a lossless one is the set itself, another is labelled as a copy."""

import shutil

import pytest
from copied_sets import KEYS, PUBLISHED, Published, folder_names, remove_published, samples, write_copy
from copied_sets import published as published
from folders import pack
from miniatures import ready
from PIL import Image

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.readers import READERS
from asymbp_cli.datasets.readers.base import Absent
from asymbp_cli.datasets.readers.copies import _number_classes
from asymbp_cli.errors import DataError


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("ending", [".png", ".webp", ".bmp"])
def test_a_lossless_copy_is_the_set_in_its_own_order(key: str, ending: str, published: Published) -> None:
    root, original = published(key)
    write_copy(original, root / key, ending, folder_names(original))
    assert ready(key, root) == original  # the published form wins, and stays as it is
    remove_published(key, root)
    info = ready(key, root)
    assert (info.label, info.paper_name, info.exact, info.note) == (
        original.label, original.paper_name, original.exact, original.note,
    )  # fmt: skip
    assert info.content == CATALOG[key].content
    assert info.classes == original.classes
    assert info.fingerprint != original.fingerprint
    for split in ("train", "test"):
        assert sorted((y, x.tobytes()) for y, x in samples(info, split)) == sorted(
            (y, x.tobytes()) for y, x in samples(original, split)
        )


@pytest.mark.parametrize(
    ("folder", "ending"),
    [
        ("cifar10-lossless", ".zip"),
        ("cifar10", ".zip"),
        ("cifar10", ".tar"),
        ("cifar10", ".tar.gz"),
        ("cifar10", ".tar.xz"),
        ("cifar-10", ".zip"),
        ("CIFAR-10-images-master", ".zip"),
        ("cifar_10_png", ".tar.bz2"),
        ("CIFAR10", ""),
    ],
)
@pytest.mark.parametrize("top", ["", "cifar10"])
def test_names_of_copies(folder: str, ending: str, top: str, published: Published) -> None:
    root, original = published("cifar10")
    remove_published("cifar10", root)
    tree = write_copy(original, root / folder / top)
    if ending:
        pack(tree, ending, top).rename(root / f"{folder}{ending}")
        shutil.rmtree(root / folder, ignore_errors=True)
    info = ready("cifar10", root)
    assert (info.label, info.exact) == ("CIFAR-10", True)
    cached = ready("cifar10", root)
    assert cached == info


@pytest.mark.parametrize("name", ["cifar10-tiny", "cifar10.txt", "cifar-100", "mycifar10", "cifar10-c"])
def test_other_names_are_no_copies(name: str, published: Published) -> None:
    root, original = published("cifar10")
    remove_published("cifar10", root)
    write_copy(original, root / name)
    assert READERS["cifar10"](root) == Absent()


@pytest.mark.parametrize("splits", [("training", "testing"), ("Train", "TEST")])
def test_splits_of_other_names(splits: tuple[str, str], published: Published) -> None:
    root, original = published("mnist")
    remove_published("mnist", root)
    tree = write_copy(original, root / "mnist_png")
    for split, name in zip(("train", "test"), splits, strict=True):
        (tree / split).rename(tree / f"{split}.tmp")
        (tree / f"{split}.tmp").rename(tree / name)
    info = ready("mnist", root)
    assert (info.label, info.exact) == ("MNIST", True)


def test_grey_pictures_in_colour_files_are_the_same_pictures(published: Published) -> None:
    root, original = published("mnist")
    remove_published("mnist", root)
    for file in write_copy(original, root / "mnist").rglob("*.png"):
        Image.open(file).convert("RGB").save(file)
    assert ready("mnist", root).label == "MNIST"


def test_classes_are_numbered_as_published(published: Published) -> None:
    """By their names, whatever their case and signs, or by their numbers: sorted, `10` would come before `2`."""
    root, original = published("fashion-mnist")
    remove_published("fashion-mnist", root)
    for names in (
        [name.lower().replace("/", " ").replace("-", "_") for name in original.classes],
        [f"{i}" for i in range(10)],
        [f"{i:02d}" for i in range(10)],
    ):
        tree = write_copy(original, root / "fashion-mnist", names=names)
        info = ready("fashion-mnist", root)
        assert (info.label, info.classes) == ("Fashion-MNIST", original.classes)
        shutil.rmtree(tree)
    write_copy(original, root / "fashion-mnist", names=[*"abcdefghji"])  # i and j are exchanged
    assert ready("fashion-mnist", root).label == "Fashion-MNIST (own copy)"


def test_many_classes_that_are_numbers() -> None:
    names = tuple(sorted(map(str, range(100))))
    numbers, classes = _number_classes(names, ())
    assert numbers.tolist() == [int(name) for name in names]
    assert classes == tuple(map(str, range(100)))


def test_published_files_in_a_folder_of_the_sets_name(published: Published) -> None:
    root, original = published("cifar10")
    (root / "cifar10").mkdir()
    (root / PUBLISHED["cifar10"]).rename(root / "cifar10" / PUBLISHED["cifar10"])
    assert ready("cifar10", root).fingerprint == original.fingerprint


def test_a_damaged_copy_is_named(published: Published) -> None:
    root, _ = published("cifar10")
    remove_published("cifar10", root)
    (root / "cifar10.zip").write_bytes(b"PK\3\4 cut short")
    with pytest.raises(DataError, match=r"cifar10\.zip cannot be read"):
        ready("cifar10", root)
