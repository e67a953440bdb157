"""Readers: from files as they are published to images and labels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from asymbp_cli.datasets.checksums import check
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.errors import DataError
from asymbp_cli.paths import exists

SplitName = Literal["train", "test"]
#: split, position in it, image as uint8 [H, W] or [H, W, C], or a float32 vector [D]
Image = tuple[SplitName, int, NDArray[Any]]


@dataclass(frozen=True)
class OpenDataset:
    """A dataset ready to decode. `images(channels)` yields every image of both splits once, in any order."""

    classes: tuple[str, ...]
    train_labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]
    images: Callable[[int], Iterator[Image]]
    note: str = ""


@dataclass(frozen=True)
class FoundDataset:
    """A dataset that was found: how to name it, what identifies its files, how to open it."""

    key: str
    label: str
    paper_name: str | None
    exact: bool
    source: Any  # json: changes whenever the files or the split do
    open: Callable[[], OpenDataset]
    note: str = ""
    stand_in: bool = False  # for the published files, which a download replaces it by


def every(opened: OpenDataset, label: str, channels: int) -> Iterator[Image]:
    """Yield all images of a dataset; raises DataError unless each place gets exactly one."""
    left: dict[SplitName, set[int]] = {
        "train": set(range(len(opened.train_labels))),
        "test": set(range(len(opened.test_labels))),
    }
    for split, position, image in opened.images(channels):
        if position not in left[split]:
            raise DataError(f"{label}: {split} image {position} was read twice; did the files change?")
        left[split].remove(position)
        yield split, position, image
    if missing := sum(map(len, left.values())):
        raise DataError(f"{label}: {missing} images that were listed could not be read; did the files change?")


def located(
    row: CatalogEntry, source: Any, opening: Callable[[], OpenDataset], *, exact: bool = True
) -> FoundDataset:
    """Return a dataset of the catalog under its names; `exact` where images and split are the paper's own."""
    return FoundDataset(row.key, row.label, row.paper_name, exact, source, opening, row.note)


def first(root: Path, *names: str) -> Path | None:
    """Return the first of `names` that lies under `root`; an empty folder is none."""
    return next((root / name for name in names if exists(root / name) and not _is_empty(root / name)), None)


def _is_empty(path: Path) -> bool:
    try:
        return path.is_dir() and not any(path.iterdir())
    except OSError:
        return False


def check_archive(row: CatalogEntry, file: Path) -> None:
    """Raise DataError where a file named as one of the row's archives has another checksum than that."""
    for archive in row.archives:
        if file.name == Path(archive.name).name and archive.checksum:
            check(file, archive.checksum, "delete it and fetch it again: asymbp data fetch " + row.key)


def arrays(
    train: tuple[NDArray[np.uint8], NDArray[np.int64]],
    test: tuple[NDArray[np.uint8], NDArray[np.int64]],
    classes: tuple[str, ...],
) -> OpenDataset:
    """Return a dataset that is in memory already."""

    def images(channels: int) -> Iterator[Image]:
        for i, image in enumerate(train[0]):
            yield "train", i, image
        for i, image in enumerate(test[0]):
            yield "test", i, image

    return OpenDataset(classes, train[1], test[1], images)
