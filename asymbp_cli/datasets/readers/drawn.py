"""Datasets with one folder per class, from which classes and images are drawn: Caltech, PubFig83, LFW."""

import dataclasses
import re
from collections import Counter
from itertools import product
from pathlib import Path, PurePosixPath

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.datasets.readers.base import Absent, FoundDataset, OpenDataset, find_first, verify_archive
from asymbp_cli.datasets.readers.classes import match_classes
from asymbp_cli.datasets.readers.members import draw_members, open_members
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.errors import DataError
from asymbp_cli.text import list_some, simplify

#: pattern of class and file of an image, as published
_NAMES = {
    "caltech101": r"(?P<label>[^/]+)/image_\d{4}\.jpe?g",
    "caltech256": r"(?P<label>(?!257)\d{3}[^/]+)/\d{3}_\d{4}\.jpe?g",
    "pubfig83": r"(?P<label>[^/]+)/\d+\.jpe?g",
    "lfw": r"(?P<label>[^/]+)/(?P=label)_\d{4}\.jpe?g",
    "flowers17": r"(?P<label>\d\d_[^/]+)/image_\d{4}\.jpe?g",
}
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
    return open_members(tree, draw_members(entry, by_class, tree.path))


def group_by_class(entry: CatalogEntry, tree: Tree) -> dict[str, list[str]]:
    """Return the names of the images of each class.

    Raises DataError if the images are in several places, or files next to them are named otherwise.
    """
    pattern = re.compile(rf"(?P<above>(?:.*/)?){_NAMES[entry.key]}", re.IGNORECASE)
    names = tree.images()
    by_class: dict[str, list[str]] = {}
    above: Counter[str] = Counter()
    for name in names:
        if match := pattern.fullmatch(name):
            by_class.setdefault(match["label"], []).append(name)
            above[match["above"]] += 1
    if len(above) > 1:
        raise DataError(
            f"{tree.path} holds {entry.label} more than once: in {', '.join(sorted(above))[:200]}. Keep one."
        )
    prefix = next(iter(above), "")
    known = {name for members in by_class.values() for name in members}
    beside = [name.removeprefix(prefix) for name in names if name.startswith(prefix) and name not in known]
    pairs = {name: PurePosixPath(name).parts for name in beside}
    odd = [name for name, parts in pairs.items() if len(parts) == 2 and simplify(parts[0]) != _CLUTTER]
    if odd:
        be, them = ("is", "it") if len(odd) == 1 else ("are", "them")
        raise DataError(
            f"{tree.path}: {list_some(odd, 10)} {be} not named as the images of {entry.label} are. Remove {them}."
        )
    return by_class
