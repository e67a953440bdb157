"""Datasets with one folder per class, from which classes and images are drawn: Caltech, PubFig83, LFW."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path, PurePosixPath

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.datasets.readers.base import Absent, FoundDataset, OpenDataset, find_first, verify_archive
from asymbp_cli.datasets.readers.classes import match_classes
from asymbp_cli.datasets.readers.members import Members, draw_members, open_members
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.errors import DataError
from asymbp_cli.text import list_some, simplify

_ENDING = r"\.(?:jpe?g|jpe|jfif)(?:\.[0-9]+)?"
#: pattern of class and file of an image, as published
_NAMES = {
    "caltech101": r"(?P<label>[^/]+)/image_(?P<number>[0-9]+)",
    "caltech256": r"(?P<label>(?P<first>(?!257)[0-9]{3})[^/]+)/(?P=first)_(?P<number>[0-9]+)",
    "pubfig83": r"(?P<label>[^/]+)/(?P<number>[0-9]+)",
    "lfw": r"(?P<label>[^/]+)/(?P=label)_(?P<number>[0-9]+)",
    "flowers17": r"(?P<label>[0-9][0-9]_[^/]+)/image_(?P<number>[0-9]+)",
}
_EXAMPLES = {
    "caltech101": "accordion/image_0001.jpg",
    "caltech256": "001.ak47/001_0001.jpg",
    "pubfig83": "Adam Sandler/1.jpg",
    "lfw": "Aaron_Eckhart/Aaron_Eckhart_0001.jpg",
    "flowers17": "01_daffodil/image_0001.jpg",
}
_COUNTED = ("caltech101", "caltech256", "lfw")  # each class has the numbers from 1 on
_CLUTTER = "257clutter"  # of Caltech-256, simplified; not a class
_HOMES = {  # folders of the data directory that may hold what `_PLACES` names
    "caltech101": ("caltech101", "caltech-101", "Caltech101", "Caltech-101"),
    "caltech256": ("caltech256", "caltech-256", "Caltech256", "Caltech-256"),
    "pubfig83": ("pubfig83",),
    "lfw": ("lfw", "lfw_home"),
}
_PACKED = (".tar.gz", ".tgz", ".tar", ".zip")
_PLACES = {
    "caltech101": ("101_ObjectCategories", *(f"101_ObjectCategories{e}" for e in _PACKED), "caltech-101.zip"),
    "caltech256": ("256_ObjectCategories", *(f"256_ObjectCategories{e}" for e in _PACKED)),
    "pubfig83": ("pubfig83", "pubfig83.v1.tgz", *(f"pubfig83{e}" for e in _PACKED)),
    "lfw": tuple(
        name + ending
        for ending, name in product(
            ("", *_PACKED), ("lfw", "lfw_funneled", "lfw-funneled", "lfw-deepfunneled", "lfw_deepfunneled")
        )
    ),
}
_GREY_LFW = tuple(f"lfw2{ending}" for ending in ("", *_PACKED))
_INSIDE = {"caltech-101.zip": "101_ObjectCategories.tar.gz"}  # an archive in the archive


def locate(key: str, root: Path) -> FoundDataset | Absent:
    """Return the draw of the dataset `key` from `root`."""
    path = _find(root, key, _PLACES[key])
    return locate_in(CATALOG[key], path) if path else Absent()


def locate_lfw(root: Path) -> FoundDataset | Absent:
    """Return the draw of LFW, from grey, aligned faces (`lfw2`) if there are no others."""
    found = locate("lfw", root)
    grey = _find(root, "lfw", _GREY_LFW)
    if isinstance(found, FoundDataset) or grey is None:
        return found
    return dataclasses.replace(
        locate_in(CATALOG["lfw"], grey),
        label="LFW-ID (grey, aligned)",
        note=f"aligned grey faces, not the colour pictures of the paper; {CATALOG['lfw'].note}",
        stand_in=True,
    )


def _find(root: Path, key: str, names: tuple[str, ...]) -> Path | None:
    """Return the first of `names` that is in a folder of the dataset's own, or in `root`."""
    return find_first(root, *(f"{home}/{name}" for name, home in product(names, _HOMES[key])), *names)


def locate_in(entry: CatalogEntry, path: Path) -> FoundDataset:
    """Return the draw of a dataset from a folder or archive of class folders."""
    tree = Tree(path, inside=_INSIDE.get(path.name, ""))
    return FoundDataset.of(entry, [tree.source(), repr(entry.draw)], lambda: _open(entry, tree), path, exact=False)


def _open(entry: CatalogEntry, tree: Tree) -> OpenDataset:
    verify_archive(entry, tree.path)
    by_class = match_classes(entry, group_by_class(entry, tree), tree.path)
    _refuse_other_numbers(entry, by_class, tree)
    names = {f"{label}/{key}": name for label, images in by_class.items() for key, name in images.items()}
    drawn = draw_members(
        entry, {label: [f"{label}/{key}" for key in images] for label, images in by_class.items()}, tree.path
    )
    members: Members = {split: [(label, names[key]) for label, key in pairs] for split, pairs in drawn.items()}
    return open_members(tree, members)


def group_by_class(entry: CatalogEntry, tree: Tree) -> dict[str, dict[str, str]]:
    """Return the names of the images of each class, by keys that sort as the published names do.

    Raises DataError if the images are in several places, or files next to them are named otherwise.
    """
    pattern = re.compile(rf"(?P<above>(?:.*/)?){_NAMES[entry.key]}{_ENDING}", re.IGNORECASE)
    names = tree.images()
    by_class: dict[str, dict[str, str]] = {}
    above: set[str] = set()
    known: set[str] = set()
    for name in names:
        if match := pattern.fullmatch(name):
            number = int(match["number"])
            key = f"{number}." if entry.key == "pubfig83" else f"{number:04d}."
            other = by_class.setdefault(match["label"], {}).setdefault(key, name)
            above.add(match["above"])
            known.add(name)
            if other != name and len(above) == 1:
                raise DataError(f"{tree.path} holds {other} and {name}, which mean the same image. Remove one.")
    if len(above) > 1:
        raise DataError(
            f"{tree.path} holds {entry.label} more than once: in {', '.join(sorted(above))[:200]}. Keep one."
        )
    prefix = next(iter(above), "")
    beside = [name.removeprefix(prefix) for name in names if name.startswith(prefix) and name not in known]
    _refuse_other_names(entry, tree, beside, len(known))
    return by_class


def _refuse_other_names(entry: CatalogEntry, tree: Tree, beside: Sequence[str], known: int) -> None:
    """Raise DataError if there are images beside those with published names, or no images with such names."""
    pairs = {name: PurePosixPath(name).parts for name in beside}
    odd = [name for name, parts in pairs.items() if len(parts) == 2 and simplify(parts[0]) != _CLUTTER]
    if not known and beside:
        raise DataError(
            f"{tree.path} holds {list_some(beside)}, but no image is named as those of {entry.label} are: "
            f"{_EXAMPLES[entry.key]}. If it is another set, rename it; else get it again."
        )
    if odd:
        be, them = ("is", "it") if len(odd) == 1 else ("are", "them")
        raise DataError(
            f"{tree.path}: {list_some(odd, 10)} {be} not named as the images of {entry.label} are "
            f"({_EXAMPLES[entry.key]}). Name {them} so, or remove {them}."
        )


def _refuse_other_numbers(entry: CatalogEntry, by_class: Mapping[str, Mapping[str, str]], tree: Tree) -> None:
    """Raise DataError if a class has other numbers than 1 to n: other images would be drawn."""
    if entry.key not in _COUNTED:
        return
    for label, images in sorted(by_class.items()):
        wanted = {f"{number:04d}." for number in range(1, len(images) + 1)}
        if lacking := sorted(wanted - images.keys()):
            odd = images[min(images.keys() - wanted)]
            raise DataError(
                f"{tree.path}: the images of {label} are numbered from 1 on, but {int(lacking[0][:-1])} is "
                f"missing, and {odd} is there. Name them as published, or copy them again."
            )
