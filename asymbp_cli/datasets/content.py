"""The content checksum: which images a dataset holds under which labels, whatever their order, names and format.

It is made so that anybody can compute it:

- an image has the SHA-256 of a line `LABEL HEIGHTxWIDTHxCHANNELS`, a line feed and the pixels, row by row. LABEL
  is the number of the class in the published order, from 0. A grey image has 1 channel;
- a split has the SHA-256 of the checksums of its images, 32 bytes each, sorted;
- a dataset has the SHA-256 of the checksums of train and test, 64 bytes.

A lossless copy has the checksum of the original. It has another if one pixel differs, or if one image is lost,
doubled, or moved to another class or split.
"""

import hashlib
from typing import Any

from numpy.typing import NDArray


class ContentChecksum:
    """Takes in the images of a dataset one by one, in any order."""

    def __init__(self) -> None:
        self._images: dict[str, list[bytes]] = {"train": [], "test": []}
        self._pixels: dict[str, list[bytes]] = {"train": [], "test": []}  # of each image, whatever its label

    def add(self, split: str, pixels: NDArray[Any], label: int) -> None:
        """Take in an image, uint8 [H, W] or [H, W, C], or a vector [D]."""
        shape = (*pixels.shape, 1) if pixels.ndim == 2 else pixels.shape
        values = f"{'x'.join(map(str, shape))}\n".encode() + pixels.tobytes()
        self._images[split].append(hashlib.sha256(f"{label} ".encode() + values).digest())
        self._pixels[split].append(hashlib.blake2b(values, digest_size=16).digest())

    def hexdigest(self) -> str:
        """Return the checksum of all images so far, 64 hexadecimal digits."""
        splits = (hashlib.sha256(b"".join(sorted(images))).digest() for images in self._images.values())
        return hashlib.sha256(b"".join(splits)).hexdigest()

    def count_shared(self) -> int:
        """Return how many test images so far are training images too, pixel by pixel, whatever their labels."""
        trained = set(self._pixels["train"])
        return sum(pixels in trained for pixels in self._pixels["test"])
