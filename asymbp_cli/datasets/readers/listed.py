"""Datasets of images whose classes and splits stand in lists: Flowers, Indoor-67, SUFR-W."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.checksums import signature
from asymbp_cli.datasets.readers import FoundDataset, OpenDataset, SplitName, check_archive, first, located
from asymbp_cli.datasets.readers.drawn import located_tree
from asymbp_cli.datasets.readers.matlab import load
from asymbp_cli.datasets.readers.members import Members, drawn, opened
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.errors import DataError
from asymbp_cli.paths import is_file

_FLOWERS = (
    *("daffodil", "snowdrop", "lily of the valley", "bluebell", "crocus", "iris", "tigerlily", "tulip"),
    *("fritillary", "sunflower", "daisy", "coltsfoot", "dandelion", "cowslip", "buttercup", "windflower", "pansy"),
)
_PER_FLOWER = 80
_SUFRW_INFO = "SUFR_in_the_wild_info.txt"


def locate_flowers17(root: Path) -> FoundDataset | None:
    """Return Flowers-17 with its split 1 (40 to train, 20 to test per class; 20 more go unused).

    Else the copy `flowers17.tar`, one folder per class, split by us: as many images, but which ones is drawn.
    """
    row = CATALOG["flowers17"]
    images, splits = first(root / "flowers-17", "17flowers.tgz", "jpg"), root / "flowers-17" / "datasplits.mat"
    if images and is_file(splits):
        tree = Tree(images)
        return located(row, [tree.source(), signature(splits)], lambda: _open_flowers17(tree, splits))
    copy = first(root, "flowers17.tar", "flowers17")
    if copy is None:
        return None
    found = located_tree(row, copy)
    note = "the images of the paper; datasplits.mat is not here, so which of them train is drawn by a seed of ours"
    return FoundDataset(
        row.key, "Flowers-17 (own split)", row.paper_name, False, found.source, found.open, note, True
    )


def _open_flowers17(tree: Tree, splits: Path) -> OpenDataset:
    row = CATALOG["flowers17"]
    for file in (tree.path, splits):
        check_archive(row, file)
    train, test = (array.ravel().tolist() for array in load(splits, "trn1", "tst1"))
    names = _numbered(tree, "image_{:04d}.jpg", {*train, *test})
    label = {number: _FLOWERS[(number - 1) // _PER_FLOWER] for number in names}
    members: Members = {
        "train": [(label[number], names[number]) for number in sorted(train)],
        "test": [(label[number], names[number]) for number in sorted(test)],
    }
    return opened(tree, members, classes=_FLOWERS[: len(set(label.values()))])


def locate_flowers102(root: Path) -> FoundDataset | None:
    """Return Flowers-102 as torchvision keeps it: 1,020 images to train, 6,149 to test."""
    row, home = CATALOG["flowers102"], root / "flowers-102"
    images, labels, splits = first(home, "102flowers.tgz", "jpg"), home / "imagelabels.mat", home / "setid.mat"
    if not images or not is_file(labels) or not is_file(splits):
        return None
    tree = Tree(images)
    source = [tree.source(), signature(labels), signature(splits)]
    return located(row, source, lambda: _open_flowers102(tree, labels, splits))


def _open_flowers102(tree: Tree, labels: Path, splits: Path) -> OpenDataset:
    row = CATALOG["flowers102"]
    for file in (tree.path, labels, splits):
        check_archive(row, file)
    (label,) = (array.ravel().tolist() for array in load(labels, "labels"))
    train, test = (array.ravel().tolist() for array in load(splits, "trnid", "tstid"))
    if max(train + test, default=0) > len(label):
        raise DataError(f"{splits} numbers more images than {labels} labels; delete both and fetch them again")
    names = _numbered(tree, "image_{:05d}.jpg", {*train, *test})
    members: Members = {
        "train": [(f"{label[number - 1]:03d}", names[number]) for number in sorted(train)],
        "test": [(f"{label[number - 1]:03d}", names[number]) for number in sorted(test)],
    }
    return opened(tree, members)


def _numbered(tree: Tree, form: str, numbers: set[int]) -> dict[int, str]:
    """Return the names in the tree of the images with these numbers; raises DataError where one is missing."""
    names = _unique(tree, {name: PurePosixPath(name).name for name in tree.names() if name.endswith(".jpg")})
    if missing := [form.format(number) for number in sorted(numbers) if form.format(number) not in names]:
        raise DataError(f"{tree.path} lacks {_some(missing)}; delete it and fetch it again")
    return {number: names[form.format(number)] for number in numbers}


def locate_indoor67(root: Path) -> FoundDataset | None:
    """Return Indoor-67 with its official lists of 5,360 images to train and 1,340 to test."""
    row, home = CATALOG["indoor67"], root / "indoor67"
    images = first(home, "indoorCVPR_09.tar", "Images", "indoorCVPR_09")
    lists: dict[SplitName, Path] = {"train": home / "TrainImages.txt", "test": home / "TestImages.txt"}
    if not images or not all(map(is_file, lists.values())):
        return None
    tree = Tree(images)
    source = [tree.source(), *(signature(file) for file in lists.values())]
    return located(row, source, lambda: _open_indoor67(tree, lists))


def _open_indoor67(tree: Tree, lists: Mapping[SplitName, Path]) -> OpenDataset:
    check_archive(CATALOG["indoor67"], tree.path)
    found = {name: "/".join(PurePosixPath(name).parts[-2:]) for name in tree.names() if not name.endswith("/")}
    names = _unique(tree, found)
    members: Members = {}
    for split, file in lists.items():
        wanted = [line.strip() for line in _lines(file) if line.strip()]
        if missing := [name for name in wanted if name not in names]:
            raise DataError(
                f"{tree.path} lacks {_some(missing)}, which {file.name} lists; is the copy whole? If the list is "
                f"not, delete {file} and type asymbp data fetch indoor67"
            )
        members[split] = [(name.partition("/")[0], names[name]) for name in wanted]
    return opened(tree, members)


def locate_sufrw(root: Path) -> FoundDataset | None:
    """Return the draw of 80 people from SUFR-W, whose list of names gives line k to the image k.jpg."""
    row = CATALOG["sufrw"]
    path = first(root, "SUFR-W", "sufrw", "SUFR", "SUFR-W.tgz", "SUFR-W.tar.gz", "SUFR-W.zip")
    if path is None:
        return None
    tree = Tree(path)
    source = [tree.source(), repr(row.draw)]
    return located(row, source, lambda: _open_sufrw(tree), exact=False)


def _open_sufrw(tree: Tree) -> OpenDataset:
    row, names = CATALOG["sufrw"], tree.names()
    lists = [name for name in names if PurePosixPath(name).name == _SUFRW_INFO]
    if len(lists) != 1:
        raise DataError(f"{tree.path} holds {len(lists)} files {_SUFRW_INFO}, one is needed")
    ((_, content),) = tree.read(set(lists))
    pattern = re.compile(r"(?:.*/)?SUFR_in_the_wild/([1-9]\d*)\.jpg")
    images = _unique(tree, {name: found[1] for name in names if (found := pattern.fullmatch(name))})
    lines = content.decode("utf-8-sig", "replace").splitlines()
    people: dict[str, list[str]] = {}
    identities: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        identity = re.fullmatch(r"\s*(\d+)\s*#\s*(.+?)\s*", line)
        if identity is None:
            raise DataError(f"{tree.path}:{lists[0]}:{number} is not `ID # NAME`; is the copy whole?")
        if str(number) not in images:
            raise DataError(f"{tree.path} lacks {number}.jpg, which {_SUFRW_INFO} lists; is the copy whole?")
        known = identities.setdefault(identity[1], identity[2])
        if known != identity[2]:
            raise DataError(f"{tree.path}:{lists[0]}:{number}: {identity[1]} is {identity[2]}, but {known} before")
        people.setdefault(identity[2], []).append(images[str(number)])
    if len(images) > len(lines):
        raise DataError(f"{tree.path} holds {len(images)} images, but {_SUFRW_INFO} {len(lines)} lines")
    return opened(tree, drawn(row, people, tree.path))


def _unique(tree: Tree, keys: Mapping[str, str]) -> dict[str, str]:
    """Return names by key; raises DataError where two have the same, as beside a copy or thumbnails."""
    found: dict[str, str] = {}
    for name, key in keys.items():
        if key in found:
            raise DataError(f"{tree.path} holds {key} twice: {found[key]} and {name}; remove one")
        found[key] = name
    return found


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {error}; delete it and fetch it again") from error


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
