"""The catalog, and the names of datasets: a key, or the path of a folder or archive. No torch, no numpy."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from asymbp_cli.datasets.catalog_downloads import CALTECH101, CALTECH256, FLOWERS17, FLOWERS102, INDOOR67, STL10
from asymbp_cli.datasets.catalog_manual import ICUB, LFW, PUBFIG83, SUFRW, TIMIT
from asymbp_cli.datasets.catalog_small import CIFAR10, CIFAR100, DIGITS, FASHION_MNIST, MNIST, SVHN
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.errors import UsageError
from asymbp_cli.files.paths import exists, expand_home
from asymbp_cli.specs.base import Label, Spec
from asymbp_cli.text import nearest, nearest_path, printable, printable_path

#: the digits, then in the order of the paper's tables, then others
CATALOG: dict[str, CatalogEntry] = {
    "digits": DIGITS,
    "mnist": MNIST,
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
    "svhn": SVHN,
    "stl10": STL10,
    "caltech101": CALTECH101,
    "caltech256": CALTECH256,
    "icub": ICUB,
    "flowers17": FLOWERS17,
    "flowers102": FLOWERS102,
    "pubfig83": PUBFIG83,
    "sufrw": SUFRW,
    "lfw": LFW,
    "indoor67": INDOOR67,
    "timit": TIMIT,
    "fashion-mnist": FASHION_MNIST,
}
#: row of the paper's tables -> our name of the dataset
PAPER_ROWS = {entry.paper.name: key for key, entry in CATALOG.items() if entry.paper}


class FolderSource(Spec):
    """Images of the user's own: a directory, or a .tar, .tar.gz, .tar.xz or .zip.

    Either `train/CLASS/*` and `test/CLASS/*`, or one tree `CLASS/*` that is split per class with `seed`: by counts
    if they are given, else `test_fraction` of the images test.
    """

    folder: Label
    train_per_class: Annotated[int, Field(ge=1)] | None = None
    test_per_class: Annotated[int, Field(ge=1)] | None = None
    test_fraction: Annotated[float, Field(gt=0, lt=1)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    label: Label | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> "FolderSource":
        counts = self.train_per_class is not None or self.test_per_class is not None
        if counts and self.test_fraction is not None:
            raise ValueError("test_fraction excludes train_per_class and test_per_class")
        return self

    @property
    def asks_for_a_split(self) -> bool:
        """Whether it says how to split the images, which those with splits of their own cannot follow."""
        return bool(self.train_per_class or self.test_per_class or self.test_fraction or self.seed)


def make_absolute(source: FolderSource) -> FolderSource:
    """Return images by a path that leads to them from any directory, if that can be printed."""
    path = str(expand_home(source.folder).resolve())
    return source.model_copy(update={"folder": path}) if printable(path) else source


DatasetRef = str | FolderSource

_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".zip")


def is_images(path: Path) -> bool:
    """Return whether a folder is at a path, or a file that is called as archives are."""
    return exists(path) and (path.is_dir() or path.name.lower().endswith(_ARCHIVES))


def parse_dataset(text: str) -> DatasetRef:
    """Return the dataset that `text` names: one of the catalog, else a folder or archive of images.

    The catalog takes precedence, so that a directory called `mnist` does not hide MNIST; `./mnist` and
    `folder:mnist` mean the directory. Raises UsageError if the text is neither a known name nor looks like a
    path, or cannot be printed.
    """
    if not printable(text):
        raise UsageError(
            f'"{printable_path(text)}" has control characters, or is not UTF-8. Rename the folder or archive.'
        )
    if text.startswith("folder:"):
        if text == "folder:":
            raise UsageError("folder: needs a path. Write it like folder:photos/flowers.tar")
        return FolderSource(folder=text.removeprefix("folder:"))
    like_path = bool(text) and ("/" in text or os.sep in text or text.endswith(_ARCHIVES) or exists(Path(text)))
    if like_path and text.lower() not in _entries_by_name():
        return FolderSource(folder=text)
    return find_entry(text).key


def find_entry(name: str) -> CatalogEntry:
    """Return the dataset of that name (ours or the paper's); raises UsageError with the nearest one."""
    by_name = _entries_by_name()
    if name.lower() not in by_name and name and exists(Path(name)):
        raise UsageError(f'"{name}" is a folder or file of yours. Name a dataset of the tool (asymbp ls datasets)')
    if name.lower() not in by_name:
        raise UsageError(
            f'"{name}" is not a dataset, nor a folder or archive.{_nearest(name, by_name)} (asymbp ls datasets)'
        )
    return by_name[name.lower()]


def _nearest(name: str, known: Iterable[str]) -> str:
    """Return the nearest name of a dataset, else the nearest folder or archive, as a question."""
    return nearest(name, known) or (nearest_path(Path(name), is_images) if name else "")


def _entries_by_name() -> dict[str, CatalogEntry]:
    """Return the catalog by our names and the paper's, in lower case."""
    by_paper_name = {entry.paper_name.lower(): entry for entry in CATALOG.values() if entry.paper_name}
    return by_paper_name | CATALOG
