"""Datasets of one folder per class from which classes and images are drawn: Caltech, PubFig83, LFW."""

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.datasets.readers import FoundDataset, OpenDataset, check_archive, first, located
from asymbp_cli.datasets.readers.members import drawn, opened
from asymbp_cli.datasets.readers.picture import EXTENSIONS
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.errors import DataError

#: class and file of an image, as published
_NAMES = {
    "caltech101": r"(?P<label>[^/]+)/image_\d{4}\.jpg",
    "caltech256": r"(?P<label>(?!257\.)\d{3}\.[^/]+)/\d{3}_\d{4}\.jpg",
    "pubfig83": r"(?P<label>[^/]+)/\d+\.jpg",
    "lfw": r"(?P<label>[^/]+)/(?P=label)_\d{4}\.jpg",
    "flowers17": r"(?P<label>\d\d_[^/]+)/image_\d{4}\.jpg",
}
_CLUTTER = "257.clutter"  # of Caltech-256, no class
_PLACES = {
    "caltech101": ("101_ObjectCategories", "101_ObjectCategories.tar.gz", "caltech-101.zip"),
    "caltech256": ("256_ObjectCategories", "256_ObjectCategories.tar"),
    "pubfig83": ("pubfig83", "pubfig83.v1.tgz"),
    "lfw": ("lfw", "lfw_funneled", "lfw-deepfunneled", "lfw.tgz", "lfw-funneled.tgz", "lfw-deepfunneled.tgz"),
}
_INSIDE = {"caltech-101.zip": "101_ObjectCategories.tar.gz"}  # an archive in the archive


def reader(key: str) -> Callable[[Path], FoundDataset | None]:
    """Return the function that finds the dataset `key` in a data directory."""

    def locate(root: Path) -> FoundDataset | None:
        places = [place for name in _PLACES[key] for place in (f"{key}/{name}", name)]
        path = first(root, *places)
        return located_tree(CATALOG[key], path) if path else None

    return locate


def located_tree(row: CatalogEntry, path: Path) -> FoundDataset:
    """Return the draw of a dataset from a folder or archive of class folders."""
    tree = Tree(path, inside=_INSIDE.get(path.name, ""))
    return located(row, [tree.source(), repr(row.draw)], lambda: _open(row, tree), exact=False)


def _open(row: CatalogEntry, tree: Tree) -> OpenDataset:
    check_archive(row, tree.path)
    return opened(tree, drawn(row, by_class(row, tree), tree.path))


def by_class(row: CatalogEntry, tree: Tree) -> dict[str, list[str]]:
    """Return the names of the images of each class.

    Raises DataError where images stand in several places, or one beside them is named otherwise.
    """
    pattern = re.compile(rf"(?P<above>(?:.*/)?){_NAMES[row.key]}")
    names = [name for name in tree.names() if PurePosixPath(name).suffix.lower() in EXTENSIONS]
    found: dict[str, list[str]] = {}
    above = set()
    for name in names:
        if match := pattern.fullmatch(name):
            found.setdefault(match["label"], []).append(name)
            above.add(match["above"])
    if len(above) > 1:
        raise DataError(f"{tree.path} holds {row.label} more than once: in {', '.join(sorted(above))[:200]}")
    prefix = next(iter(above), "")
    for name in names:
        parts = name.removeprefix(prefix).split("/")
        if (
            name.startswith(prefix)
            and len(parts) == 2
            and parts[0] != _CLUTTER
            and name not in found.get(parts[0], ())
        ):
            raise DataError(f"{tree.path}: {name} is not named as the images of {row.label} are; remove it")
    return found
