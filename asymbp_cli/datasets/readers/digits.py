"""scikit-learn's digits: 1,797 images of 8x8, values 0 to 16."""

from pathlib import Path

import numpy as np

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.readers.base import FoundDataset, OpenDataset, open_arrays
from asymbp_cli.datasets.splits import split_digits


def locate(root: Path) -> FoundDataset:
    """Return the digits, which scikit-learn holds; `root` is not read."""
    return FoundDataset.of(CATALOG["digits"], "digits, stratified 1437/360, seed 0", _open, exact=False)


def _open() -> OpenDataset:
    from sklearn.datasets import load_digits

    loaded = load_digits()
    pixels = (loaded.images * 15).astype(np.uint8)  # 0..240; preprocessing removes the scale
    labels = loaded.target.astype(np.int64)
    train, test = split_digits(labels)
    return open_arrays(
        (pixels[train], labels[train]), (pixels[test], labels[test]), tuple(str(digit) for digit in range(10))
    )
