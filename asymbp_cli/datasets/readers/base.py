"""What every reader returns: a dataset that was found, and one that is open."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from asymbp_cli.datasets.archives.signatures import read_mistake
from asymbp_cli.datasets.checksums import verify
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.errors import DataError
from asymbp_cli.events import OnProgress
from asymbp_cli.files.paths import exists
from asymbp_cli.text import count

_CHANGED = "Its files may have changed meanwhile; run the command again."
_PROGRESS_IMAGES = 500  # between reports

SplitName = Literal["train", "test"]
#: uint8 [H, W] or [H, W, C], or a float32 vector [D]; or the error of a damaged one
Pixels = NDArray[Any] | DataError
#: split, position in it, image
Image = tuple[SplitName, int, Pixels]
#: pixels uint8 [N, ...] and labels int64 [N] of a split
Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True)
class OpenDataset:
    """A dataset ready to decode.

    `images(channels)` yields every image of both splits once, in any order; `unused(channels)` those that are in
    neither.
    """

    classes: tuple[str, ...]
    train_labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]
    images: Callable[[int], Iterator[Image]]
    note: str = ""
    unused: Callable[[int], Iterator[Pixels]] = lambda channels: iter(())

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
    place: Path | None = None  # of its files, or of the first of them; None: it is in no file
    note: str = ""
    stand_in: bool = False  # a download replaces it by the published files
    is_copy: bool = False  # if its content is the published one, it counts as the set itself
    channels: Callable[[], int | None] = lambda: None  # of a user's own images in their files, if known

    @classmethod
    def of(
        cls,
        entry: CatalogEntry,
        source: Any,
        opening: Callable[[], OpenDataset],
        place: Path | None = None,
        *,
        exact: bool = True,
    ) -> "FoundDataset":
        """Return a dataset of the catalog under its names; `exact` if images and split are the paper's own."""
        return cls(entry.key, entry.label, entry.paper_name, exact, source, opening, place, entry.note)


@dataclass(frozen=True)
class Absent:
    """A dataset that is not there, or not whole: which of its files are, and which are missing."""

    here: tuple[Path, ...] = ()
    missing: tuple[str, ...] = ()


def iterate_images(
    dataset: OpenDataset,
    label: str,
    channels: int,
    activity: str,
    on_progress: OnProgress | None,
    damaged: list[DataError] | None = None,
) -> Iterator[tuple[SplitName, int, NDArray[Any]]]:
    """Yield all images of a dataset; raises DataError unless each position gets exactly one.

    The error of a damaged one is added to `damaged`, or raised if there is none. `on_progress` is told `activity`
    and `label`: "decoding MNIST".
    """
    left = {split: set(range(len(labels))) for split, labels in dataset.labels.items()}
    total = sum(map(len, left.values()))
    for done, (split, position, image) in enumerate(dataset.images(channels), start=1):
        if position not in left[split]:
            raise DataError(f"{label}: {split} image {position} was read twice. {_CHANGED}")
        left[split].remove(position)
        if not isinstance(image, DataError):
            yield split, position, image
        elif damaged is None:
            raise image
        else:
            damaged.append(image)
        if on_progress and (done % _PROGRESS_IMAGES == 0 or done == total):
            on_progress(f"{activity} {label}", done, total)
    if missing := sum(map(len, left.values())):
        raise DataError(f"{label}: {count(missing, 'image')} that the list names could not be read. {_CHANGED}")


def find_first(root: Path, *names: str) -> Path | None:
    """Return the first of `names` that is in `root`; an empty folder does not count."""
    return next((root / name for name in names if is_there(root / name)), None)


def find_parts(homes: Sequence[Path], wanted: Sequence[Sequence[str]]) -> list[Path] | Absent:
    """Return the first folder's file for each entry of `wanted`, which gives the names that it may have.

    If none of `homes` has all, the one with most of them tells what is there and what is missing.
    """
    best: dict[int, Path] = {}
    for home in homes:
        found = {i: path for i, names in enumerate(wanted) if (path := find_first(home, *names))}
        if len(found) == len(wanted):
            return list(found.values())
        if len(found) > len(best):
            best = found
    missing = tuple(" or ".join(names) for i, names in enumerate(wanted) if i not in best)
    return Absent(tuple(best.values()), missing) if best else Absent()


def is_there(path: Path) -> bool:
    """Return whether there is a file, or a folder that is not empty."""
    return exists(path) and not _is_empty(path)


def _is_empty(path: Path) -> bool:
    try:
        return path.is_dir() and not any(path.iterdir())
    except OSError:
        return False


def verify_archive(entry: CatalogEntry, file: Path) -> None:
    """Raise DataError if a file has the name of one of the entry's archives, but another checksum."""
    for archive in entry.archives:
        if file.name == Path(archive.name).name and archive.checksum:
            remedy = f"Delete it and fetch it again: asymbp data fetch {entry.key}"
            try:
                verify(file, archive.checksum, remedy)
            except DataError as error:
                if kind := read_mistake(file):
                    raise DataError(f"{file} is not the published file, but {kind.name}. {remedy}") from error
                raise


def open_arrays(train: Arrays, test: Arrays, classes: tuple[str, ...]) -> OpenDataset:
    """Return a dataset whose images are in memory already."""

    def images(channels: int) -> Iterator[Image]:
        for i, image in enumerate(train[0]):
            yield "train", i, image
        for i, image in enumerate(test[0]):
            yield "test", i, image

    return OpenDataset(classes, train[1], test[1], images)
