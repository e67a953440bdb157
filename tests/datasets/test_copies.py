"""Copies of published sets as pictures: a lossless one is the set itself, another is labelled as a copy."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from folders import pack
from miniatures import content_checksum, ready, write_copy
from PIL import Image

from asymbp_cli.cli.app import cli
from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.content import ContentChecksum
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.readers import READERS
from asymbp_cli.datasets.readers.base import Absent
from asymbp_cli.datasets.readers.copies import _number_classes
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.datasets.survey import find_state
from asymbp_cli.errors import DataError

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


def exchange(one: Path, other: Path) -> None:
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def change_pixel(tree: Path) -> None:
    file = next(tree.rglob("*.png"))
    pixels = np.array(Image.open(file))
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(file)


def swap_labels(tree: Path) -> None:
    exchange(next((tree / "train" / "cat").iterdir()), next((tree / "train" / "dog").iterdir()))


def swap_splits(tree: Path) -> None:
    exchange(next((tree / "train" / "cat").iterdir()), next((tree / "test" / "cat").iterdir()))


def copy_over(tree: Path) -> None:
    shutil.copy(next((tree / "train" / "cat").iterdir()), next((tree / "test" / "cat").iterdir()))


@pytest.mark.parametrize("harm", [change_pixel, swap_labels, swap_splits, copy_over])
def test_another_content_is_a_copy(harm: Callable[[Path], None], published: Published) -> None:
    root, original = published("cifar10")
    remove_published("cifar10", root)
    harm(write_copy(original, root / "cifar10"))
    info = ready("cifar10", root)
    assert (info.label, info.paper_name, info.exact) == ("CIFAR-10 (own copy)", "CIFAR", False)
    assert info.note == "a copy of CIFAR-10 whose images or labels differ from the published ones"


def test_an_unknown_content_is_not_verified(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    root, original = published("cifar100")
    known = CATALOG["cifar100"]
    monkeypatch.setitem(CATALOG, "cifar100", dataclasses.replace(known, content=""))
    remove_published("cifar100", root)
    write_copy(original, root / "cifar100")
    info = ready("cifar100", root)
    assert (info.label, info.exact) == ("CIFAR-100 (own copy, not verified)", False)
    assert find_state(CATALOG["cifar100"], root) == "stand-in"
    assert info.content == known.content
    monkeypatch.setitem(CATALOG, "cifar100", known)  # a later version knows it: the cache tells, without decoding
    monkeypatch.setattr(ContentChecksum, "add", None)
    assert ready("cifar100", root).label == "CIFAR-100"
    assert find_state(CATALOG["cifar100"], root) == "ready"


def test_the_lossless_copy_is_taken_before_the_lossy_one(published: Published) -> None:
    root, original = published("cifar10")
    remove_published("cifar10", root)
    pack(write_copy(original, root / "lossy", ".jpg"), ".tar.xz").rename(root / "cifar10-jpeg.tar.xz")
    jpeg = ready("cifar10", root)
    assert (jpeg.label, jpeg.exact) == ("CIFAR-10 (JPEG copy)", False)
    assert find_state(CATALOG["cifar10"], root) == "stand-in"
    shutil.copytree(root / "lossy", root / "CIFAR-10-images")
    assert ready("cifar10", root).label == "CIFAR-10 (JPEG copy)"  # the ending tells
    write_copy(original, root / "cifar10_png")
    assert ready("cifar10", root).label == "CIFAR-10"
    assert find_state(CATALOG["cifar10"], root) == "ready"


def test_the_size_of_the_network_does_not_matter(published: Published) -> None:
    root, original = published("cifar10")
    remove_published("cifar10", root)
    write_copy(original, root / "cifar10")
    for shape in ((16, 16, 3), (32, 32, 1), (40, 40, 1)):
        info = prepare("cifar10", shape, DataSource(data_dir=root, cache_dir=root / "cache"))
        assert (info.label, info.exact, info.shape) == ("CIFAR-10", True, shape)


def test_an_older_cache_stays_readable_and_counts_as_a_copy(published: Published) -> None:
    root, original = published("cifar10")
    remove_published("cifar10", root)
    write_copy(original, root / "cifar10")
    info = ready("cifar10", root)
    file = info.path / "info.json"
    content = json.loads(file.read_text())
    for younger in ("content", "arrays", "checksum"):
        del content[younger]
    content["files"] = {}
    file.write_text(json.dumps(content))
    again = ready("cifar10", root)
    assert (again.fingerprint, again.label) == (info.fingerprint, "CIFAR-10 (copy, not compared yet)")


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


def test_check_and_show_judge_a_copy_too(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    root, original = published("cifar10")
    remove_published("cifar10", root)
    tree = write_copy(original, root / "cifar10")
    monkeypatch.setenv("ASYMBP_DATA", str(root))

    def asymbp(*arguments: str) -> str:
        done = CliRunner().invoke(cli, ["data", *arguments, "--quiet"])
        assert done.exit_code == 0, done.exception
        return str(done.stdout)

    assert asymbp("check", "cifar10").startswith("CIFAR-10: ok, 10 classes")
    assert CATALOG["cifar10"].content in asymbp("show", "cifar10")
    change_pixel(tree)
    assert asymbp("check", "cifar10").startswith("CIFAR-10 (own copy): ok")
    assert CATALOG["cifar10"].content not in asymbp("show", "cifar10")


def test_the_checksum_takes_no_notice_of_order() -> None:
    random = np.random.default_rng(0)
    data = [
        (split, random.integers(0, 256, (3, 4, 3), np.uint8), i % 3)
        for i, split in enumerate(["train", "test"] * 5)
    ]

    def checksum(order: list[int]) -> str:
        content = ContentChecksum()
        for i in order:
            content.add(*data[i])
        return content.hexdigest()

    known = content_checksum(*([(y, x) for kind, x, y in data if kind == split] for split in ("train", "test")))
    assert checksum([*range(10)]) == checksum([*range(10)][::-1]) == known
    assert checksum([*range(9)]) != known
    grey = ContentChecksum()
    grey.add("train", np.zeros((2, 3), np.uint8), 0)
    assert grey.hexdigest() == content_checksum([(0, np.zeros((2, 3, 1), np.uint8))], [])
