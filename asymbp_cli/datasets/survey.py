"""A look at a dataset's files: is it here, is it whole, what does it hold."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.datasets.prepare import check_counts, locate
from asymbp_cli.datasets.readers import FoundDataset, SplitName, every
from asymbp_cli.datasets.readers.picture import fit
from asymbp_cli.errors import DataError
from asymbp_cli.paths import is_file

State = Literal["ready", "a copy", "can be fetched", "needs you", "unreadable"]
Report = Callable[[str, int, int], None]

_SHEET = 100  # images on a contact sheet, as far as classes allow
_GAP = 2  # px


@dataclass(frozen=True)
class Survey:
    """What a dataset holds: every sample has been read."""

    located: FoundDataset
    classes: tuple[str, ...]
    counts: dict[SplitName, tuple[int, ...]]  # samples per class
    shapes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # smallest, median and largest, by area
    examples: tuple[NDArray[Any], ...]  # some training samples, class after class


def state(row: CatalogEntry, root: Path) -> State:
    """Return whether a dataset of the catalog lies in `root`, and if not, how it can come there."""
    try:
        located = locate(row, root)
    except DataError:
        return "unreadable"
    if located is None:
        return "can be fetched" if row.archives else "needs you"
    return "a copy" if located.stand_in else "ready"


def fetched(row: CatalogEntry, root: Path) -> int:
    """Return how many of a dataset's archives lie in `root`."""
    return sum(is_file(root / archive.name) for archive in row.archives)


def survey(located: FoundDataset, shape: tuple[int, ...], report: Report | None = None) -> Survey:
    """Read every sample of a dataset. Raises DataError naming what is wrong.

    `shape`, (height, width, channels) or (features,), tells how many channels are wanted; nothing is resized.
    """
    opened = located.open()
    check_counts(located, opened)
    labels: dict[SplitName, NDArray[np.int64]] = {"train": opened.train_labels, "test": opened.test_labels}
    total, shapes = sum(map(len, labels.values())), []
    per_class = max(1, _SHEET // len(opened.classes))
    examples: dict[int, list[NDArray[Any]]] = {i: [] for i in range(len(opened.classes))}
    for done, (split, position, image) in enumerate(every(opened, located.label, shape[-1]), start=1):
        shapes.append(image.shape)
        kept = examples[int(labels[split][position])]
        if split == "train" and len(kept) < per_class:
            kept.append(image)
        if report and (done % 500 == 0 or done == total):
            report(f"reading {located.label}", done, total)
    shapes.sort(key=lambda found: (np.prod(found), found))
    number = len(opened.classes)
    return Survey(
        located=located,
        classes=opened.classes,
        counts={split: tuple(np.bincount(y, minlength=number).tolist()) for split, y in labels.items()},
        shapes=(shapes[0], shapes[len(shapes) // 2], shapes[-1]),
        examples=tuple(image for kept in examples.values() for image in kept),
    )


def contact_sheet(found: Survey, shape: tuple[int, ...]) -> Image.Image:
    """Return the examples as the network sees them, at `shape` (height, width, channels), class after class.

    Raises DataError where there are no images, but vectors.
    """
    if len(shape) == 1:
        raise DataError(
            f"{found.located.label} holds vectors of {shape[0]} features, of which no picture can be made"
        )
    height, width, _ = shape
    columns = ceil(sqrt(len(found.examples)))
    rows = ceil(len(found.examples) / columns)
    size = columns * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP
    sheet = Image.new("RGB", size, "white")
    for i, image in enumerate(found.examples):
        picture = Image.fromarray(fit(image, shape, "squash").squeeze())
        place = _GAP + i % columns * (width + _GAP), _GAP + i // columns * (height + _GAP)
        sheet.paste(picture.convert("RGB"), place)
    return sheet
