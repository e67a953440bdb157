"""Datasets with one folder per class, from which classes and images are drawn: Caltech, PubFig83, LFW."""

import re
from pathlib import Path, PurePosixPath

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.datasets.readers.base import FoundDataset, OpenDataset, find_first, verify_archive
from asymbp_cli.datasets.readers.members import draw_members, open_members
from asymbp_cli.datasets.readers.picture import EXTENSIONS
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.errors import DataError

#: pattern of class and file of an image, as published
_NAMES = {
    "caltech101": r"(?P<label>[^/]+)/image_\d{4}\.jpg",
    "caltech256": r"(?P<label>(?!257\.)\d{3}\.[^/]+)/\d{3}_\d{4}\.jpg",
    "pubfig83": r"(?P<label>[^/]+)/\d+\.jpg",
    "lfw": r"(?P<label>[^/]+)/(?P=label)_\d{4}\.jpg",
    "flowers17": r"(?P<label>\d\d_[^/]+)/image_\d{4}\.jpg",
}
_CLUTTER = "257.clutter"  # of Caltech-256; not a class
_PLACES = {
    "caltech101": ("101_ObjectCategories", "101_ObjectCategories.tar.gz", "caltech-101.zip"),
    "caltech256": ("256_ObjectCategories", "256_ObjectCategories.tar"),
    "pubfig83": ("pubfig83", "pubfig83.v1.tgz"),
    "lfw": ("lfw", "lfw_funneled", "lfw-deepfunneled", "lfw.tgz", "lfw-funneled.tgz", "lfw-deepfunneled.tgz"),
}
_INSIDE = {"caltech-101.zip": "101_ObjectCategories.tar.gz"}  # an archive in the archive


def locate(key: str, root: Path) -> FoundDataset | None:
    """Return the draw of the dataset `key` from `root`; None if it is missing."""
    places = [place for name in _PLACES[key] for place in (f"{key}/{name}", name)]
    path = find_first(root, *places)
    return locate_in(CATALOG[key], path) if path else None


def locate_in(entry: CatalogEntry, path: Path) -> FoundDataset:
    """Return the draw of a dataset from a folder or archive of class folders."""
    tree = Tree(path, inside=_INSIDE.get(path.name, ""))
    return FoundDataset.of(entry, [tree.source(), repr(entry.draw)], lambda: _open(entry, tree), exact=False)


def _open(entry: CatalogEntry, tree: Tree) -> OpenDataset:
    verify_archive(entry, tree.path)
    return open_members(tree, draw_members(entry, group_by_class(entry, tree), tree.path))


def group_by_class(entry: CatalogEntry, tree: Tree) -> dict[str, list[str]]:
    """Return the names of the images of each class.

    Raises DataError if the images are in several places, or a file next to them is named otherwise.
    """
    pattern = re.compile(rf"(?P<above>(?:.*/)?){_NAMES[entry.key]}")
    names = [name for name in tree.names() if PurePosixPath(name).suffix.lower() in EXTENSIONS]
    by_class: dict[str, list[str]] = {}
    above = set()
    for name in names:
        if match := pattern.fullmatch(name):
            by_class.setdefault(match["label"], []).append(name)
            above.add(match["above"])
    if len(above) > 1:
        raise DataError(
            f"{tree.path} holds {entry.label} more than once: in {', '.join(sorted(above))[:200]}. Keep one."
        )
    prefix = next(iter(above), "")
    for name in names:
        parts = name.removeprefix(prefix).split("/")
        if (
            name.startswith(prefix)
            and len(parts) == 2
            and parts[0] != _CLUTTER
            and name not in by_class.get(parts[0], ())
        ):
            raise DataError(f"{tree.path}: {name} is not named as the images of {entry.label} are. Remove it.")
    return by_class
