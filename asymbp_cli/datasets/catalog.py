"""How a dataset is named: a row of the catalog, or a folder or archive of the user's own. No torch, no numpy."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.datasets.published_arrays import ARRAYS
from asymbp_cli.datasets.published_files import FILES
from asymbp_cli.errors import UsageError
from asymbp_cli.paths import exists
from asymbp_cli.specs.base import Label, Spec
from asymbp_cli.text import nearest, printable, printable_path

CATALOG: dict[str, CatalogEntry] = {row.key: row for row in (*ARRAYS, *FILES)}


class FolderSource(Spec):
    """Images of the user's own: a directory, or a .tar, .tar.gz, .tar.xz or .zip.

    Either `train/CLASS/*` and `test/CLASS/*`, or one tree `CLASS/*` that is split per class with `seed`: counts
    where they are given, else `test_fraction` for testing.
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


DatasetRef = str | FolderSource


def _by_name() -> dict[str, CatalogEntry]:
    """Return the catalog by our names and the paper's, in lower case."""
    named = {dataset.paper_name.lower(): dataset for dataset in CATALOG.values() if dataset.paper_name}
    return named | CATALOG


_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".zip")


def dataset_ref(text: str) -> DatasetRef:
    """Return the dataset that `text` names: one of the catalog, else a folder or archive of images.

    The catalog goes first, so that a directory called `mnist` does not hide MNIST; `./mnist` and `folder:mnist`
    mean the directory. Raises UsageError where it is neither a known name nor looks like a path, or cannot be
    printed.
    """
    if not printable(text):
        raise UsageError(
            f'"{printable_path(text)}" has control characters, or is not UTF-8; rename the folder or archive'
        )
    if text.startswith("folder:"):
        if text == "folder:":
            raise UsageError("folder: needs a path behind it, as in folder:photos/flowers.tar")
        return FolderSource(folder=text.removeprefix("folder:"))
    like_path = bool(text) and ("/" in text or os.sep in text or text.endswith(_ARCHIVES) or exists(Path(text)))
    if like_path and text.lower() not in _by_name():
        return FolderSource(folder=text)
    return find(text).key


def find(name: str) -> CatalogEntry:
    """Return the dataset of that name (ours or the paper's); raises UsageError with the nearest one."""
    by_name = _by_name()
    if name.lower() not in by_name:
        raise UsageError(
            f'"{name}" is not a dataset, nor a folder or archive.{nearest(name, by_name)} (asymbp ls datasets)'
        )
    return by_name[name.lower()]
