"""Survey a dataset's files: whether it is there, whether it is whole, what it holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from asymbp_cli.datasets.content import ContentChecksum
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.datasets.locate import locate, look_at, open_dataset
from asymbp_cli.datasets.readers.base import Absent, FoundDataset, Pixels, SplitName, iterate_images
from asymbp_cli.datasets.readers.copies import judge_copy
from asymbp_cli.datasets.readers.picture import fit
from asymbp_cli.errors import DataError
from asymbp_cli.events import OnProgress

State = Literal["ready", "stand-in", "can be fetched", "manual download", "unreadable"]

_SHEET = 100  # images on a contact sheet, as far as classes allow
_GAP = 2  # px
_NAMED = 10  # damaged images that a message names


@dataclass(frozen=True)
class Survey:
    """The contents of a dataset, of which every image has been read, also those in neither split."""

    dataset: FoundDataset
    classes: tuple[str, ...]
    counts: dict[SplitName, tuple[int, ...]]  # samples per class
    shapes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # smallest, median and largest, by area
    examples: tuple[NDArray[Any], ...]  # some training samples, class after class
    unused: int  # images in neither split
    shared: int  # test samples that are identical to a training sample
    note: str
    content: str = ""  # content checksum of its images


def find_state(entry: CatalogEntry, root: Path) -> State:
    """Return whether the dataset is in `root` or, if not, how to obtain it.

    Files are looked at, not read.
    """
    try:
        dataset = locate(entry, root)
        if isinstance(dataset, Absent):
            return "can be fetched" if entry.archives else "manual download"
        look_at(dataset, entry)
    except DataError:
        return "unreadable"
    return "stand-in" if dataset.stand_in else "ready"


def survey(dataset: FoundDataset, shape: tuple[int, ...], on_progress: OnProgress | None = None) -> Survey:
    """Read every sample of a dataset. Raises DataError naming what is wrong, up to ten damaged images at once.

    `shape`, (height, width, channels) or (features,), gives the number of channels to read; nothing is resized.
    """
    opened = open_dataset(dataset)
    labels = opened.labels
    shapes: list[tuple[int, ...]] = []
    per_class = max(1, _SHEET // len(opened.classes))
    examples: dict[int, list[NDArray[Any]]] = {i: [] for i in range(len(opened.classes))}
    damaged: list[DataError] = []
    content = ContentChecksum()
    for split, position, image in iterate_images(
        opened, dataset.label, shape[-1], "reading", on_progress, damaged
    ):
        shapes.append(image.shape)
        content.add(split, image, int(labels[split][position]))
        of_class = examples[int(labels[split][position])]
        if split == "train" and len(of_class) < per_class:
            of_class.append(image)
    unused = list(map(_damage, opened.unused(shape[-1])))
    _refuse_damaged(dataset, [*damaged, *filter(None, unused)], sum(map(len, labels.values())) + len(unused))
    shapes.sort(key=lambda size: (np.prod(size), size))
    number = len(opened.classes)
    checksum = content.hexdigest()
    dataset = judge_copy(dataset, checksum)
    return Survey(
        dataset=dataset,
        classes=opened.classes,
        counts={split: tuple(np.bincount(y, minlength=number).tolist()) for split, y in labels.items()},
        shapes=(shapes[0], shapes[len(shapes) // 2], shapes[-1]),
        examples=tuple(image for of_class in examples.values() for image in of_class),
        unused=len(unused),
        shared=content.count_shared(),
        note=dataset.note or opened.note,
        content=checksum,
    )


def _damage(image: Pixels) -> DataError | None:
    return image if isinstance(image, DataError) else None


def _refuse_damaged(dataset: FoundDataset, damaged: Sequence[DataError], total: int) -> None:
    if damaged:
        lines = [f"{dataset.label}: {len(damaged):,} of {total:,} images cannot be decoded:"]
        lines += [f"  {error}" for error in damaged[:_NAMED]]
        if len(damaged) > _NAMED:
            lines.append(f"  and {len(damaged) - _NAMED:,} more")
        raise DataError("\n".join(lines))


def make_contact_sheet(surveyed: Survey, shape: tuple[int, ...]) -> Image.Image:
    """Return the examples as the network sees them, at `shape` (height, width, channels), class after class.

    Raises DataError if the dataset holds vectors.
    """
    if len(shape) == 1:
        raise DataError(
            f"{surveyed.dataset.label} holds vectors of {shape[0]} features, not images. Leave out --images."
        )
    height, width, _ = shape
    columns = ceil(sqrt(len(surveyed.examples)))
    rows = ceil(len(surveyed.examples) / columns)
    size = columns * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP
    sheet = Image.new("RGB", size, "white")
    for i, image in enumerate(surveyed.examples):
        picture = Image.fromarray(fit(image, shape, "squash").squeeze())
        corner = _GAP + i % columns * (width + _GAP), _GAP + i // columns * (height + _GAP)
        sheet.paste(picture.convert("RGB"), corner)
    return sheet
