"""Small datasets in the true layout of the published ones: same names, formats and traps, fewer images."""

import dataclasses
import gzip
import hashlib
import io
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from painted import idx, jpeg, packed, paint, unpacked
from PIL import Image
from scipy.io import savemat

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.checksums import digest
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.entry import Draw
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.recipe.networks import network_for


@dataclass(frozen=True)
class Miniature:
    """What was written: the classes that are to be found, by name with their brightness, and counts."""

    classes: Mapping[str, int]
    train: int
    test: int
    draw: Draw | None = None
    images: Mapping[str, int] = dataclasses.field(default_factory=dict)  # of each class, if the catalog knows them


def _four_files(directory: Path, train: list[int], test: list[int]) -> None:
    for prefix, labels in (("train", train), ("t10k", test)):
        images = np.stack([paint(label, 28, 28)[..., 1] for label in labels])
        content = {"images-idx3": images, "labels-idx1": np.array(labels, np.uint8)}
        files = {f"{prefix}-{name}-ubyte.gz": gzip.compress(idx(array)) for name, array in content.items()}
        unpacked(directory, files)


def mnist(root: Path) -> Miniature:
    _four_files(root / "MNIST" / "raw", [3, 0, 1, 2, *range(10)], [*range(1, 10), 0])
    return Miniature({str(i): i for i in range(10)}, 14, 10)


FASHION_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def fashion_mnist(root: Path) -> Miniature:
    _four_files(root / "FashionMNIST" / "raw", [9, *range(10)], [*range(10)])
    return Miniature({name: i for i, name in enumerate(FASHION_CLASSES)}, 11, 10)


def _batch(labels: list[int], key: bytes) -> bytes:
    rows = np.stack([paint(label, 32, 32).transpose(2, 0, 1).ravel() for label in labels])
    rows[:, 0] = 10 * len(labels) + np.arange(len(labels))  # the images of a class differ from each other
    return pickle.dumps({b"data": rows, key: labels}, 3)


def cifar10(root: Path) -> Miniature:
    files = {f"data_batch_{i}": _batch([i - 1, i + 4], b"labels") for i in range(1, 6)}
    files |= {"test_batch": _batch([9, *range(9)], b"labels")}
    packed(root / "cifar-10-python.tar.gz", {f"cifar-10-batches-py/{k}": v for k, v in files.items()})
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    return Miniature({name: i for i, name in enumerate(names)}, 10, 10)


def cifar100(root: Path) -> Miniature:
    names = [f"fine {i}" for i in range(6)]
    files = {
        "train": _batch([5, 4, 3, 2, 1, 0], b"fine_labels"),
        "test": _batch([0, 3, 1, 2, 5, 4, 0], b"fine_labels"),
        "meta": pickle.dumps({b"fine_label_names": [name.encode() for name in names]}, 3),
        "file.txt~": b"",
    }
    packed(root / "cifar-100-python.tar.gz", {f"cifar-100-python/{k}": v for k, v in files.items()})
    return Miniature({name: i for i, name in enumerate(names)}, 6, 7)


def svhn(root: Path) -> Miniature:
    for split, labels in (("train", [10, 1, 9, 10]), ("test", [2, 10])):
        images = np.stack([paint(label % 10, 32, 32) for label in labels], axis=-1)
        savemat(root / f"{split}_32x32.mat", {"X": images, "y": np.array(labels, np.uint8)[:, None]})
    return Miniature({str(i): i for i in range(10)}, 4, 2)


STL10_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


def stl10_files() -> dict[str, bytes]:
    files = {"unlabeled_X.bin": bytes(100)}
    for split, labels in (("train", [1, 10, 4]), ("test", [2, 10])):
        images = [paint(label - 1, 96, 96).transpose(2, 1, 0) for label in labels]  # channel, column, row
        files |= {f"{split}_X.bin": np.stack(images).tobytes(), f"{split}_y.bin": bytes(labels)}
    return files | {"class_names.txt": b"", "fold_indices.txt": b""}


def stl10(root: Path) -> Miniature:
    packed(root / "stl10_binary.tar.gz", {f"stl10_binary/{name}": v for name, v in stl10_files().items()})
    return Miniature({name: i for i, name in enumerate(STL10_CLASSES)}, 3, 2)


def _images(counts: Mapping[str, int], form: str, levels: Mapping[str, int] | None = None) -> dict[str, bytes]:
    """Return JPEG files `form`, given class and number from 1; the first of each class is grey."""
    levels = levels or {label: i for i, label in enumerate(counts)}
    return {
        form.format(label=label, i=i): jpeg(levels[label], 30 + i, 40, "L" if i == 1 else "RGB")
        for label, count in counts.items()
        for i in range(1, count + 1)
    }


def caltech101(root: Path) -> Miniature:
    counts = {"BACKGROUND_Google": 6, "Faces": 7, "inline_skate": 4, "wrench": 5}
    files = _images(counts, "101_ObjectCategories/{label}/image_{i:04d}.jpg")
    files["101_ObjectCategories/BACKGROUND_Google/tmp"] = b"not an image"
    inner = packed(root / "inner.tar.gz", files)
    (root / "caltech101").mkdir()
    with zipfile.ZipFile(root / "caltech101" / "caltech-101.zip", "w") as archive:
        archive.write(inner, "caltech-101/101_ObjectCategories.tar.gz")
        archive.writestr("caltech-101/Annotations.tar", b"outlines")
        archive.writestr("__MACOSX/caltech-101/._101_ObjectCategories.tar.gz", b"")
    inner.unlink()
    draw = Draw(classes=4, train=3, test=2, of=4, images=22, fewest_test=1)
    return Miniature({name: i for i, name in enumerate(counts)}, 12, 2 + 2 + 1 + 2, draw, counts)


def caltech256_files() -> dict[str, bytes]:
    counts = {"001.ak47": 5, "056.dog": 6, "198.spider": 5, "256.toad": 5}
    files = {}
    for level, (label, count) in enumerate(counts.items()):
        for i in range(1, count + 1):
            files[f"256_ObjectCategories/{label}/{label[:3]}_{i:04d}.jpg"] = jpeg(level, 30 + i)
    files["256_ObjectCategories/257.clutter/257_0001.jpg"] = jpeg(9)
    files["256_ObjectCategories/056.dog/greg/vision309/stray.jpg"] = jpeg(9)
    files["256_ObjectCategories/198.spider/RENAME2"] = b"#!/bin/sh"
    return files


def caltech256(root: Path) -> Miniature:
    packed(root / "caltech256" / "256_ObjectCategories.tar", caltech256_files(), "w")
    draw = Draw(classes=3, train=3, test=2, of=4, images=21)
    names = {"001.ak47": 0, "056.dog": 1, "198.spider": 2, "256.toad": 3}
    images = {"001.ak47": 5, "056.dog": 6, "198.spider": 5, "256.toad": 5}
    return Miniature(names, 9, 6, draw, images)


def icub(root: Path) -> Miniature:
    names = [f"category{i}" for i in range(10)]
    for level, name in enumerate(names):
        for split, objects in (("train", 3), ("test", 1)):
            for k in range(1, objects + 1):
                directory = root / "iCubWorld" / split / name / f"{name}{k if split == 'train' else 4}"
                directory.mkdir(parents=True)
                Image.fromarray(paint(level, 160, 160)).save(directory / "00000001.ppm")
    return Miniature({name: i for i, name in enumerate(names)}, 30, 10)


def flowers17(root: Path) -> Miniature:
    home = root / "flowers-17"
    numbers = [*(1, 2, 78, 79, 80), *(81, 82, 83, 159, 160), *(161, 162, 163, 164, 240)]
    files = {f"jpg/image_{n:04d}.jpg": jpeg(i // 5, 30 + i) for i, n in enumerate(numbers)}
    packed(home / "17flowers.tgz", files | {"jpg/files.txt": b"image_0001.jpg\n"})
    train, test = ([n for i, n in enumerate(numbers) if i % 5 in which] for which in ((0, 2, 4), (1,)))
    splits = {f"trn{k}": [train] for k in (1, 2, 3)} | {f"tst{k}": [test] for k in (1, 2, 3)}
    savemat(home / "datasplits.mat", splits | {"val1": [[79]]})
    return Miniature({"daffodil": 0, "snowdrop": 1, "lily of the valley": 2}, 9, 3)


def flowers102(root: Path) -> Miniature:
    home = root / "flowers-102"
    labels = [3, 1, 2, 2, 1, 3, 1, 2, 3, 1, 2, 3]
    files = {f"jpg/image_{n:05d}.jpg": jpeg(label, 30 + n) for n, label in enumerate(labels, 1)}
    packed(home / "102flowers.tgz", files)
    savemat(home / "imagelabels.mat", {"labels": [labels]})
    savemat(home / "setid.mat", {"trnid": [[1, 2, 3]], "valid": [[10, 11, 12]], "tstid": [[9, 8, 7, 6, 5, 4]]})
    return Miniature({"001": 1, "002": 2, "003": 3}, 3, 6)


def pubfig83(root: Path) -> Miniature:
    counts = {"Adam Sandler": 5, "Zac Efron": 6, "Will Smith": 5, "Uma Thurman": 5}
    unpacked(root / "pubfig83", _images(counts, "{label}/{i}.jpg"))
    (root / "pubfig83" / "pubfig83_errata.txt").write_text("")
    return Miniature({name: i for i, name in enumerate(counts)}, 9, 6, Draw(3, 3, 2, of=4, images=21), counts)


def sufrw(root: Path) -> Miniature:
    people = ["Ann Lee", "Bo O'Neil", "Cy", "Dee"]
    order = [people[i % 4] for i in range(19)]  # 5, 5, 5, 4
    home = root / "SUFR-W"
    files = {
        f"image_files/SUFR-W/SUFR_in_the_wild/{k}.jpg": jpeg(people.index(name)) for k, name in enumerate(order, 1)
    }
    lines = "".join(f"{people.index(name) + 1} # {name}\n" for name in order)
    files["info_files/SUFR-W/SUFR_in_the_wild/SUFR_in_the_wild_info.txt"] = lines.encode()
    unpacked(home, files)
    return Miniature({name: i for i, name in enumerate(people)}, 6, 4, Draw(2, 3, 2, of=4, images=None))


def lfw(root: Path) -> Miniature:
    counts = {"Aaron_Eckhart": 1, "George_W_Bush": 7, "Tony_Blair": 5, "Zico": 4, "Ariel_Sharon": 5}
    files = _images(counts, "lfw_funneled/{label}/{label}_{i:04d}.jpg")
    packed(root / "lfw-funneled.tgz", files | {"lfw_funneled/pairs_01.txt": b"10\t300\n"})
    return Miniature({name: i for i, name in enumerate(counts)}, 6, 4, Draw(2, 3, 2, of=5, images=22))


def indoor67(root: Path) -> Miniature:
    home = root / "indoor67"
    counts = {"airport_inside": 4, "bar": 4, "winecellar": 4}
    files = _images(counts, "Images/{label}/{label}_{i}.jpg")
    cmyk = io.BytesIO()
    Image.fromarray(paint(2, 40, 40)).convert("CMYK").save(cmyk, "JPEG", quality=100)
    packed(home / "indoorCVPR_09.tar", files | {"Images/winecellar/odd name.jpg": cmyk.getvalue()}, "w")
    train = [f"{label}/{label}_{i}.jpg" for label in counts for i in (1, 3)]
    test = [f"{label}/{label}_2.jpg" for label in counts] + ["winecellar/odd name.jpg"]
    (home / "TrainImages.txt").write_text("\r\n".join(train) + "  \n")
    (home / "TestImages.txt").write_text("\n".join(test) + "\n\n")
    return Miniature({name: i for i, name in enumerate(counts)}, 6, 4)


WRITERS: dict[str, Callable[[Path], Miniature]] = {
    "mnist": mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "svhn": svhn,
    "stl10": stl10,
    "caltech101": caltech101,
    "caltech256": caltech256,
    "icub": icub,
    "flowers17": flowers17,
    "flowers102": flowers102,
    "pubfig83": pubfig83,
    "sufrw": sufrw,
    "lfw": lfw,
    "indoor67": indoor67,
    "fashion-mnist": fashion_mnist,
}


def install(key: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> Miniature:
    """Write a dataset's miniature into `root`, and let the catalog expect its counts and checksums."""
    made = WRITERS[key](root)
    row = CATALOG[key]
    archives = tuple(
        dataclasses.replace(
            a,
            checksum=a.checksum and digest(root / a.name, a.checksum),
            size=None,
            unpacked_md5=a.unpacked_md5
            and hashlib.md5(gzip.decompress((root / a.name).read_bytes()), usedforsecurity=False).hexdigest(),
        )
        for a in row.archives
        if (root / a.name).exists()
    )
    changed = dataclasses.replace(
        row,
        classes=made.draw.classes if made.draw else len(made.classes),
        train_count=row.train_count and made.train,
        test_count=row.test_count and made.test,
        archives=archives,
        draw=made.draw or row.draw,
        images_of_class=made.images,
        classes_checksum="",
    )
    monkeypatch.setitem(CATALOG, key, changed)
    return made


def ready(key: str, root: Path) -> DecodedDataset:
    """Return a dataset decoded at the input size of its network."""
    return prepare(key, network_for(key).input, DataSource(data_dir=root, cache_dir=root / "cache"))
