"""Copies of MNIST, Fashion-MNIST and CIFAR as pictures: `train/CLASS/*` and `test/CLASS/*`, packed or not.

Whether a copy counts as the set itself is known when its images have been decoded: by their content checksum
(`content.py`), which is the published one if no pixel, label or split differs. The order of a copy is its own.
"""

import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from asymbp_cli.datasets.archives.names import ending as ending_of
from asymbp_cli.datasets.catalog import CATALOG, FolderSource
from asymbp_cli.datasets.readers import folder
from asymbp_cli.datasets.readers.base import Absent, FoundDataset, Image, OpenDataset
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.errors import DataError
from asymbp_cli.text import is_number, simplify

#: names of folders and archives in the data directory, without what may follow
_NAMES = {
    "mnist": "mnist",
    "fashion-mnist": "fashion[-_ ]?mnist|fmnist",
    "cifar10": "cifar[-_ ]?10",
    "cifar100": "cifar[-_ ]?100",
}
_MORE = r"(?:[-_ .](?:lossless|jpe?g|png|webp|bmp|tiff?|images?|img|dataset|data|main|master|copy))*"
_PACKED = r"(?:\.(?:tar(?:\.(?:gz|xz|bz2))?|tgz|txz|tbz2?|zip))?"
_CHANNELS = {"mnist": 1, "fashion-mnist": 1, "cifar10": 3, "cifar100": 3}
_LOSSY = {".jpg", ".jpeg", ".jpe", ".jfif"}

#: classes in the order of the published labels, if the names do not sort into it by themselves
CLASSES: dict[str, tuple[str, ...]] = {
    "mnist": tuple(map(str, range(10))),
    "fashion-mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "cifar100": (),  # in the published files; sorted, as the names of the folders are
}


_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
#: other names of classes, simplified
_ALIASES = {word: str(digit) for digit, word in enumerate(_DIGITS)} | {
    "plane": "airplane",
    "aeroplane": "airplane",
    "car": "automobile",
    "auto": "automobile",
    "tshirt": "T-shirt/top",
    "top": "T-shirt/top",
    "boot": "Ankle boot",
    "sneakers": "Sneaker",
}


def find_named(key: str, root: Path) -> list[Path]:
    """Return the folders and archives in `root` whose names say that they hold the dataset, sorted by name."""
    pattern = re.compile(f"(?:{_NAMES[key]}){_MORE}{_PACKED}", re.IGNORECASE)
    try:
        return [root / name for name in sorted(os.listdir(root)) if pattern.fullmatch(name)]
    except (OSError, ValueError):
        return []


def locate_copy(key: str, root: Path) -> FoundDataset | Absent:
    """Return a copy from `root`, a lossless one if there are several.

    Its label and note are those of a copy that is not the set itself; `judge_copy` gives the others.
    """
    copies = {path: ending for path in find_named(key, root) if (ending := _first_ending(path)) is not None}
    if not copies:
        return Absent()
    is_lossy = {path: ending in _LOSSY or "jpeg" in path.name.lower() for path, ending in copies.items()}
    path = min(is_lossy, key=lambda path: is_lossy[path])  # the first by name of those that may be lossless
    entry, lossy = CATALOG[key], is_lossy[path]
    files = folder.locate(FolderSource(folder=str(path)))
    kind = "JPEG copy" if lossy else "copy, not compared yet" if entry.content else "own copy, not verified"
    return dataclasses.replace(
        FoundDataset.of(entry, files.source, lambda: _open(key, files), path, exact=False),
        label=f"{entry.label} ({kind})",
        note=_explain(entry.label, kind),
        stand_in=lossy or not entry.content,
        is_copy=True,
    )


def _explain(label: str, kind: str) -> str:
    if kind == "JPEG copy":
        return f"a lossy JPEG copy of {label}, so its errors are not those of the original"
    if kind == "own copy":
        return f"a copy of {label} whose images or labels differ from the published ones"
    if kind == "copy, not compared yet":
        return f"a copy of {label} that is compared with the published content when it is decoded"
    return (
        f"a copy of {label} that was not compared with the published files, as their content checksum is not known"
    )


def judge_copy(dataset: FoundDataset, content: str) -> FoundDataset:
    """Return a copy under the names that its content checksum gives it: those of the set itself if it is equal."""
    entry = CATALOG.get(dataset.key)
    if entry is None or not dataset.is_copy or not content or not entry.content:
        return dataset
    if content == entry.content:
        exact = entry.paper is not None
        return dataclasses.replace(dataset, label=entry.label, note=entry.note, exact=exact, stand_in=False)
    kind = "JPEG copy" if dataset.stand_in else "own copy"
    return dataclasses.replace(dataset, label=f"{entry.label} ({kind})", note=_explain(entry.label, kind))


def _first_ending(path: Path) -> str | None:
    """Return the ending of some image in a folder or archive; None without any, "" if it cannot be read."""
    try:
        name = Tree(path).first_image()
    except DataError:  # the reader says what is wrong
        return ""
    return None if name is None else ending_of(name)


def _open(key: str, files: FoundDataset) -> OpenDataset:
    """Open a copy with the published numbers of its classes, and in the published number of channels."""
    opened = files.open()
    numbers, classes = _number_classes(opened.classes, CLASSES[key])

    def images(channels: int) -> Iterator[Image]:
        return opened.images(_CHANNELS[key])

    return OpenDataset(classes, numbers[opened.train_labels], numbers[opened.test_labels], images, opened.note)


def _number_classes(
    names: tuple[str, ...], published: tuple[str, ...]
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.int64]], tuple[str, ...]]:
    """Return the number of each of the sorted `names`, and the classes by number.

    Names that are published ones, but for case and punctuation, or that are numbers, have their number; others are
    numbered as they are sorted.
    """
    known = {simplify(name): number for number, name in enumerate(published)}
    names = tuple(_ALIASES.get(simplify(name), name) for name in names)
    written = {int(name) for name in names if is_number(name)}
    if names and set(map(simplify, names)) == known.keys():
        numbers, classes = [known[simplify(name)] for name in names], published
    elif len(written) == len(names):
        order = sorted(names, key=int)
        numbers = [order.index(name) for name in names]
        classes = published if len(published) == len(names) else tuple(order)
    else:
        numbers, classes = list(range(len(names))), names
    return np.array(numbers, np.int64), classes
