"""Readers: from files as they are published to images and labels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SplitName = Literal["train", "test"]
#: split, position in it, image as uint8 [H, W] or [H, W, C]
Image = tuple[SplitName, int, NDArray[np.uint8]]


@dataclass(frozen=True)
class Opened:
    """A dataset ready to decode. `images(channels)` yields every image of both splits once, in any order."""

    classes: tuple[str, ...]
    train_labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]
    images: Callable[[int], Iterator[Image]]
    note: str = ""


@dataclass(frozen=True)
class Located:
    """A dataset that was found: how to name it, what identifies its files, how to open it."""

    key: str
    label: str
    paper_name: str | None
    exact: bool
    source: Any  # json: changes whenever the files or the split do
    open: Callable[[], Opened]
    note: str = ""


def arrays(
    train: tuple[NDArray[np.uint8], NDArray[np.int64]],
    test: tuple[NDArray[np.uint8], NDArray[np.int64]],
    classes: tuple[str, ...],
) -> Opened:
    """Return a dataset that is in memory already."""

    def images(channels: int) -> Iterator[Image]:
        for i, image in enumerate(train[0]):
            yield "train", i, image
        for i, image in enumerate(test[0]):
            yield "test", i, image

    return Opened(classes, train[1], test[1], images)
