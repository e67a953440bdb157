"""One row per dataset: where it comes from, what it holds, which network takes it. No torch, no numpy."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from asymbp_cli.errors import UsageError, nearest, printable
from asymbp_cli.paths import exists, shown
from asymbp_cli.spec import Label, Spec


@dataclass(frozen=True)
class Archive:
    """A file to fetch: `name` under the data directory, mirrors in order, MD5 as published."""

    name: str
    urls: tuple[str, ...]
    md5: str
    size: int  # bytes
    unpacked_md5: str = ""  # of the file in a .gz that may lie unpacked


@dataclass(frozen=True)
class Dataset:
    """A dataset known by name."""

    key: str
    title: str
    paper_name: str | None  # its row in the paper's tables
    network: str  # the paper's network for it
    classes: int
    train_count: int
    test_count: int
    source: str
    licence: str
    citation: str
    archives: tuple[Archive, ...] = ()
    accepts: str = ""  # what may lie in the data directory
    note: str = ""


_MNIST_MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")


def _mnist(name: str, md5: str, unpacked_md5: str, size: int) -> Archive:
    urls = tuple(f"{mirror}{name}.gz" for mirror in _MNIST_MIRRORS)
    return Archive(f"MNIST/raw/{name}.gz", urls, md5, size, unpacked_md5)


CATALOG: dict[str, Dataset] = {
    "digits": Dataset(
        key="digits",
        title="Optical handwritten digits, 8x8 (Alpaydin and Kaynak 1998, UCI; embedded in scikit-learn)",
        paper_name=None,
        network="digits",
        classes=10,
        train_count=1437,
        test_count=360,
        source="scikit-learn's load_digits",
        licence="see the UCI Machine Learning Repository, data set 80",
        citation="Alpaydin, Kaynak (1998): Optical Recognition of Handwritten Digits, UCI ML Repository",
        accepts="nothing: it comes with scikit-learn",
        note="not a dataset of the paper; a fixed stratified split of ours",
    ),
    "mnist": Dataset(
        key="mnist",
        title="MNIST handwritten digits (LeCun, Cortes)",
        paper_name="MNIST",
        network="mnist",
        classes=10,
        train_count=60_000,
        test_count=10_000,
        source="http://yann.lecun.com/exdb/mnist/",
        licence="CC BY-SA 3.0",
        citation="LeCun, Bottou, Bengio, Haffner (1998): Gradient-based learning applied to document recognition",
        archives=(
            _mnist(
                "train-images-idx3-ubyte",
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "6bbc9ace898e44ae57da46a324031adb",
                9_912_422,
            ),
            _mnist(
                "train-labels-idx1-ubyte",
                "d53e105ee54ea40749a09fcbcd1e9432",
                "a25bea736e30d166cdddb491f175f624",
                28_881,
            ),
            _mnist(
                "t10k-images-idx3-ubyte",
                "9fb629c4189551a2d022fa330f9573f3",
                "2646ac647ad5339dbf082846283269ea",
                1_648_877,
            ),
            _mnist(
                "t10k-labels-idx1-ubyte",
                "ec29112dd5afa0611ce80d1b7f02629c",
                "27ae3e4e09519cfbb04c329615203637",
                4_542,
            ),
        ),
        accepts="MNIST/raw/ with the four idx files, packed (.gz) or not, as torchvision keeps them",
    ),
    "cifar10": Dataset(
        key="cifar10",
        title="CIFAR-10 (Krizhevsky)",
        paper_name="CIFAR",
        network="cifar",
        classes=10,
        train_count=50_000,
        test_count=10_000,
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        licence="none stated",
        citation="Krizhevsky (2009): Learning multiple layers of features from tiny images",
        archives=(
            Archive(
                "cifar-10-python.tar.gz",
                ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
                "c58f30108f718f92721af3b95e74349a",
                170_498_071,
            ),
        ),
        accepts="cifar-10-batches-py/ or cifar-10-python.tar.gz, as torchvision keeps them; or "
        "cifar10-jpeg.tar.xz, a lossy copy as train/CLASS/*.jpg and test/CLASS/*.jpg",
    ),
}


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


def _by_name() -> dict[str, Dataset]:
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
        raise UsageError(f'"{shown(text)}" has control characters, or is not UTF-8; rename the folder or archive')
    if text.startswith("folder:"):
        if text == "folder:":
            raise UsageError("folder: needs a path behind it, as in folder:photos/flowers.tar")
        return FolderSource(folder=text.removeprefix("folder:"))
    like_path = bool(text) and ("/" in text or os.sep in text or text.endswith(_ARCHIVES) or exists(Path(text)))
    if like_path and text.lower() not in _by_name():
        return FolderSource(folder=text)
    return find(text).key


def find(name: str) -> Dataset:
    """Return the dataset of that name (ours or the paper's); raises UsageError with the nearest one."""
    by_name = _by_name()
    if name.lower() not in by_name:
        raise UsageError(
            f'"{name}" is not a dataset, nor a folder or archive.{nearest(name, by_name)} (asymbp ls datasets)'
        )
    return by_name[name.lower()]
