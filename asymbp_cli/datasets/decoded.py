"""The facts of a decoded dataset, without its pixels."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.specs.base import Spec


class DecodedDataset(Spec):
    """A dataset that is decoded to arrays in `directory`.

    Images uint8 [N, H, W, C] or vectors float32 [N, D], and labels int64 [N].
    """

    key: str  # of the catalog, or "folder"
    label: str  # row name in tables
    paper_name: str | None  # row name in the paper's tables whose numbers may be shown next to ours
    exact: bool  # the paper's own images and split
    classes: tuple[str, ...]
    shape: tuple[int, ...]  # (height, width, channels), or (features,)
    train_count: int
    test_count: int
    fingerprint: str  # SHA-256 of pixels, labels and class names
    note: str = ""
    shared: int = 0  # test samples that are identical to a training sample
    content: str = ""  # of a copy: the content checksum of its images as they were read
    folder: FolderSource | None = None  # what was written for a user's own images
    held_out: Annotated[int | None, Field(exclude=True)] = None  # training samples, if asked for and counted
    channels: Annotated[int | None, Field(exclude=True)] = None  # of a user's own images in their files, if known
    directory: str

    @property
    def path(self) -> Path:
        """The directory of the arrays."""
        return Path(self.directory)


def describe_shared(shared: int, test_count: int) -> str:
    """Return in words that test samples are training samples too."""
    be = "is a training image" if shared == 1 else "are training images"
    return f"{shared:,} of {test_count:,} test images {be} too"
