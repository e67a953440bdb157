"""What every reader returns: a dataset that was found, and one that is open."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from asymbp_cli.datasets.checksums import verify
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.errors import DataError
from asymbp_cli.events import OnProgress
from asymbp_cli.paths import exists

_CHANGED = "Its files may have changed meanwhile; run the command again."
_PROGRESS_IMAGES = 500  # between reports

SplitName = Literal["train", "test"]
#: split, position in it, image as uint8 [H, W] or [H, W, C], or a float32 vector [D]
Image = tuple[SplitName, int, NDArray[Any]]
#: pixels uint8 [N, ...] and labels int64 [N] of a split
Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True)
class OpenDataset:
    """A dataset ready to decode. `images(channels)` yields every image of both splits once, in any order."""

    classes: tuple[str, ...]
    train_labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]
    images: Callable[[int], Iterator[Image]]
    note: str = ""

    @property
    def labels(self) -> dict[SplitName, NDArray[np.int64]]:
        """Return the labels by split."""
        return {"train": self.train_labels, "test": self.test_labels}


@dataclass(frozen=True)
class FoundDataset:
    """A dataset whose files are there: its names, what identifies the files, and how to open them."""

    key: str
    label: str
    paper_name: str | None
    exact: bool
    source: Any  # json: changes whenever the files or the split do
    open: Callable[[], OpenDataset]
    note: str = ""
    stand_in: bool = False  # a download replaces it by the published files

    @classmethod
    def of(
        cls, entry: CatalogEntry, source: Any, opening: Callable[[], OpenDataset], *, exact: bool = True
    ) -> "FoundDataset":
        """Return a dataset of the catalog under its names; `exact` if images and split are the paper's own."""
        return cls(entry.key, entry.label, entry.paper_name, exact, source, opening, entry.note)


def iterate_images(
    dataset: OpenDataset, label: str, channels: int, activity: str, on_progress: OnProgress | None
) -> Iterator[Image]:
    """Yield all images of a dataset; raises DataError unless each position gets exactly one.

    `activity` and `label` are what `on_progress` is told: "decoding MNIST".
    """
    left = {split: set(range(len(labels))) for split, labels in dataset.labels.items()}
    total = sum(map(len, left.values()))
    for done, (split, position, image) in enumerate(dataset.images(channels), start=1):
        if position not in left[split]:
            raise DataError(f"{label}: {split} image {position} was read twice. {_CHANGED}")
        left[split].remove(position)
        yield split, position, image
        if on_progress and (done % _PROGRESS_IMAGES == 0 or done == total):
            on_progress(f"{activity} {label}", done, total)
    if missing := sum(map(len, left.values())):
        raise DataError(f"{label}: {missing} images that were listed could not be read. {_CHANGED}")


def find_first(root: Path, *names: str) -> Path | None:
    """Return the first of `names` that is in `root`; an empty folder does not count."""
    return next((root / name for name in names if exists(root / name) and not _is_empty(root / name)), None)


def _is_empty(path: Path) -> bool:
    try:
        return path.is_dir() and not any(path.iterdir())
    except OSError:
        return False


def verify_archive(entry: CatalogEntry, file: Path) -> None:
    """Raise DataError if a file has the name of one of the entry's archives, but another checksum."""
    for archive in entry.archives:
        if file.name == Path(archive.name).name and archive.checksum:
            verify(file, archive.checksum, "Delete it and fetch it again: asymbp data fetch " + entry.key)


def open_arrays(train: Arrays, test: Arrays, classes: tuple[str, ...]) -> OpenDataset:
    """Return a dataset whose images are in memory already."""

    def images(channels: int) -> Iterator[Image]:
        for i, image in enumerate(train[0]):
            yield "train", i, image
        for i, image in enumerate(test[0]):
            yield "test", i, image

    return OpenDataset(classes, train[1], test[1], images)
