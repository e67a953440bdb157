"""Datasets of images whose classes and splits are given in lists: Flowers, Indoor-67, SUFR-W."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.checksums import signature
from asymbp_cli.datasets.readers.base import (
    Absent,
    FoundDataset,
    OpenDataset,
    SplitName,
    find_first,
    find_parts,
    verify_archive,
)
from asymbp_cli.datasets.readers.drawn import locate_in
from asymbp_cli.datasets.readers.matlab import load
from asymbp_cli.datasets.readers.members import Members, draw_members, open_members
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.errors import DataError
from asymbp_cli.text import count, list_some

_FLOWERS = (
    "daffodil",
    "snowdrop",
    "lily of the valley",
    "bluebell",
    "crocus",
    "iris",
    "tigerlily",
    "tulip",
    "fritillary",
    "sunflower",
    "daisy",
    "coltsfoot",
    "dandelion",
    "cowslip",
    "buttercup",
    "windflower",
    "pansy",
)
_PER_FLOWER = 80
_SUFRW_INFO = "SUFR_in_the_wild_info.txt"


def locate_flowers17(root: Path) -> FoundDataset | Absent:
    """Return Flowers-17 with its split 1 (40 to train, 20 to test per class; 20 more go unused).

    Otherwise the copy `flowers17.tar`, one folder per class: as many images, but our own split.
    """
    entry = CATALOG["flowers17"]
    parts = find_parts([root / "flowers-17", root], [("17flowers.tgz", "jpg"), ("datasplits.mat",)])
    if isinstance(parts, list):
        tree, splits = Tree(parts[0]), parts[1]
        source = [tree.source(), signature(splits)]
        return FoundDataset.of(entry, source, lambda: _open_flowers17(tree, splits), parts[0])
    copy = find_first(root, "flowers17.tar", "flowers17")
    if copy is None:
        return parts
    return dataclasses.replace(
        locate_in(entry, copy),
        label="Flowers-17 (own split)",
        note="the images of the paper; datasplits.mat is missing, so the split is drawn with our own fixed seed",
        stand_in=True,
    )


def _open_flowers17(tree: Tree, splits: Path) -> OpenDataset:
    entry = CATALOG["flowers17"]
    for file in (tree.path, splits):
        verify_archive(entry, file)
    train, test = (array.ravel().tolist() for array in load(splits, "trn1", "tst1"))
    names = _numbered(tree, "image_{:04d}.jpg", {*train, *test})
    label = {number: _FLOWERS[(number - 1) // _PER_FLOWER] for number in names}
    members: Members = {
        "train": [(label[number], names[number]) for number in sorted(train)],
        "test": [(label[number], names[number]) for number in sorted(test)],
    }
    return open_members(tree, members, classes=_FLOWERS[: len(set(label.values()))])


def locate_flowers102(root: Path) -> FoundDataset | Absent:
    """Return Flowers-102 as torchvision keeps it, 1,020 images to train and 6,149 to test."""
    wanted = [("102flowers.tgz", "jpg"), ("imagelabels.mat",), ("setid.mat",)]
    parts = find_parts([root / "flowers-102", root / "flowers102", root], wanted)
    if isinstance(parts, Absent):
        return parts
    tree, (labels, splits) = Tree(parts[0]), parts[1:]
    source = [tree.source(), signature(labels), signature(splits)]
    return FoundDataset.of(CATALOG["flowers102"], source, lambda: _open_flowers102(tree, labels, splits), parts[0])


def _open_flowers102(tree: Tree, labels: Path, splits: Path) -> OpenDataset:
    entry = CATALOG["flowers102"]
    for file in (tree.path, labels, splits):
        verify_archive(entry, file)
    (label,) = (array.ravel().tolist() for array in load(labels, "labels"))
    train, test = (array.ravel().tolist() for array in load(splits, "trnid", "tstid"))
    if max(train + test, default=0) > len(label):
        raise DataError(f"{splits} numbers more images than {labels} labels. Delete both and fetch them again.")
    names = _numbered(tree, "image_{:05d}.jpg", {*train, *test})
    members: Members = {
        "train": [(f"{label[number - 1]:03d}", names[number]) for number in sorted(train)],
        "test": [(f"{label[number - 1]:03d}", names[number]) for number in sorted(test)],
    }
    return open_members(tree, members)


def _numbered(tree: Tree, form: str, numbers: set[int]) -> dict[int, str]:
    """Return the names in the tree of the images with these numbers; raises DataError if one is missing."""
    names = _invert(tree, {name: PurePosixPath(name).name.lower() for name in tree.images()})
    if missing := [form.format(number) for number in sorted(numbers) if form.format(number) not in names]:
        raise DataError(f"{tree.path} lacks {list_some(missing)}. Delete it and fetch it again.")
    return {number: names[form.format(number)] for number in numbers}


def locate_indoor67(root: Path) -> FoundDataset | Absent:
    """Return Indoor-67 with its official lists of 5,360 images to train and 1,340 to test."""
    images = ("indoorCVPR_09.tar", "Images", "indoorCVPR_09")
    parts = find_parts(
        [root / "indoor67", root / "indoorCVPR_09", root], [images, ("TrainImages.txt",), ("TestImages.txt",)]
    )
    if isinstance(parts, Absent):
        return parts
    tree = Tree(parts[0])
    lists: dict[SplitName, Path] = {"train": parts[1], "test": parts[2]}
    source = [tree.source(), *(signature(file) for file in lists.values())]
    return FoundDataset.of(CATALOG["indoor67"], source, lambda: _open_indoor67(tree, lists), parts[0])


def _open_indoor67(tree: Tree, lists: Mapping[SplitName, Path]) -> OpenDataset:
    verify_archive(CATALOG["indoor67"], tree.path)
    names = _invert(tree, {name: "/".join(PurePosixPath(name).parts[-2:]).lower() for name in tree.images()})
    members: Members = {}
    for split, file in lists.items():
        listed = [line.strip() for line in _lines(file) if line.strip()]
        if missing := [name for name in listed if name.lower() not in names]:
            raise DataError(
                f"{tree.path} lacks {list_some(missing)}, which {file.name} lists. Copy it again. "
                f"If the list is wrong, delete {file} and type asymbp data fetch indoor67"
            )
        members[split] = [(name.partition("/")[0], names[name.lower()]) for name in listed]
    return open_members(tree, members)


def locate_sufrw(root: Path) -> FoundDataset | Absent:
    """Return the draw of 80 people from SUFR-W, in whose list of names line k describes k.jpg."""
    entry = CATALOG["sufrw"]
    path = find_first(root, "SUFR-W", "sufrw", "SUFR", "SUFR-W.tgz", "SUFR-W.tar.gz", "SUFR-W.zip")
    if path is None:
        return Absent()
    tree = Tree(path)
    source = [tree.source(), repr(entry.draw)]
    return FoundDataset.of(entry, source, lambda: _open_sufrw(tree), path, exact=False)


def _open_sufrw(tree: Tree) -> OpenDataset:
    entry, names = CATALOG["sufrw"], tree.names()
    lists = [name for name in names if PurePosixPath(name).name == _SUFRW_INFO]
    if len(lists) != 1:
        raise DataError(f"{tree.path} holds {len(lists)} files {_SUFRW_INFO}, not one. Copy it again.")
    ((_, content),) = tree.read(set(lists))
    pattern = re.compile(r"(?:.*/)?SUFR_in_the_wild/([1-9][0-9]*)\.jpg", re.IGNORECASE)
    images = _invert(tree, {name: match[1] for name in names if (match := pattern.fullmatch(name))})
    lines = content.decode("utf-8-sig", "replace").splitlines()
    people: dict[str, list[str]] = {}
    identities: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        identity = re.fullmatch(r"\s*([0-9]+)\s*#\s*(.+?)\s*", line)
        if identity is None:
            raise DataError(f"{tree.path}:{lists[0]}:{number} is not `ID # NAME`. Copy it again.")
        if str(number) not in images:
            raise DataError(f"{tree.path} lacks {number}.jpg, which {_SUFRW_INFO} lists. Copy it again.")
        known = identities.setdefault(identity[1], identity[2])
        if known != identity[2]:
            raise DataError(
                f"{tree.path}:{lists[0]}:{number}: {identity[1]} is {identity[2]}, but was {known}. Copy it again."
            )
        people.setdefault(identity[2], []).append(images[str(number)])
    if len(images) > len(lines):
        raise DataError(
            f"{tree.path} holds {count(len(images), 'image')}, but {_SUFRW_INFO} {count(len(lines), 'line')}. "
            "Copy it again."
        )
    return open_members(tree, draw_members(entry, people, tree.path))


def _invert(tree: Tree, keys: Mapping[str, str]) -> dict[str, str]:
    """Return names by key; raises DataError if two files share a key, for instance because of thumbnails."""
    names: dict[str, str] = {}
    for name, key in keys.items():
        if key in names:
            raise DataError(f"{tree.path} holds {key} twice: {names[key]} and {name}. Remove one.")
        names[key] = name
    return names


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {error}. Delete it and fetch it again.") from error
