"""scikit-learn's digits: 1,797 images of 8x8, values 0 to 16."""

import numpy as np

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.readers import FoundDataset, OpenDataset, arrays
from asymbp_cli.datasets.splits import digits_split


def locate() -> FoundDataset:
    """Return the digits, which are always there."""
    row = CATALOG["digits"]
    return FoundDataset("digits", "digits", None, False, "digits, stratified 1437/360, seed 0", _open, row.note)


def _open() -> OpenDataset:
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = (found.images * 15).astype(np.uint8)  # 0..240; preprocessing removes the scale
    labels = found.target.astype(np.int64)
    train, test = digits_split(labels)
    return arrays(
        (pixels[train], labels[train]), (pixels[test], labels[test]), tuple(str(digit) for digit in range(10))
    )
