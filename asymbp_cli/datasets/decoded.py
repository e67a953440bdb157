"""What is known of a decoded dataset without opening its pixels."""

from pathlib import Path

from asymbp_cli.specs.base import Spec


class DecodedDataset(Spec):
    """A dataset in its resident form in `directory`.

    Images uint8 [N, H, W, C] or vectors float32 [N, D], and labels int64 [N].
    """

    key: str  # catalog key, or "folder"
    label: str  # row name in tables
    paper_name: str | None  # row name in the paper's tables whose numbers may stand beside
    exact: bool  # the paper's own images and split
    classes: tuple[str, ...]
    shape: tuple[int, ...]  # (height, width, channels), or (features,)
    train_count: int
    test_count: int
    fingerprint: str  # SHA-256 of pixels, labels and class names
    note: str = ""
    directory: str

    @property
    def path(self) -> Path:
        """Where the arrays lie."""
        return Path(self.directory)
