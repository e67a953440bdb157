"""Image files to pixels."""

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from asymbp_cli.errors import DataError

#: suffixes of images; one that cannot be decoded is an error, other files are ignored
EXTENSIONS = frozenset(
    {".avif", ".bmp", ".gif", ".heic", ".jfif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm"}
    | {".tif", ".tiff", ".webp"}
)


_LARGE = Image.DecompressionBombWarning  # twice as many pixels are refused


def decode(content: bytes, channels: int, origin: str) -> NDArray[np.uint8]:
    """Return an image file's pixels as uint8 [H, W] (one channel) or [H, W, 3].

    Raises DataError with `origin` if it is damaged, cut short, not an image, or not of 8 or 16 bits.
    """
    try:
        with warnings.catch_warnings(action="ignore", category=_LARGE), Image.open(io.BytesIO(content)) as image:
            return np.asarray(_eight_bits(image).convert("L" if channels == 1 else "RGB"))
    except Exception as error:  # a damaged file can raise anything
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{origin} cannot be decoded: {reason}. Replace or remove it.") from error


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return the image in a mode whose conversion to L or RGB is exact enough; 16 bits lose the lower 8."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):  # Pillow would clip at 255, and which value is white is unknown
        raise ValueError(f"its pixels have 32 bits (mode {image.mode})")
    return image.convert("RGBA") if image.mode == "P" and "transparency" in image.info else image


def fit(image: NDArray[np.uint8], shape: tuple[int, ...], resize: str) -> NDArray[Any]:
    """Return the image [H, W] or [H, W, C] at `shape`, antialiased; grey becomes RGB and RGB grey as needed.

    `resize` "squash" ignores the proportions; "crop" keeps them and cuts the centre.
    """
    height, width, channels = shape
    if image.shape == (shape if image.ndim == 3 or channels > 1 else shape[:2]):
        return image.reshape(shape)
    picture = Image.fromarray(image.squeeze(2) if image.ndim == 3 and image.shape[2] == 1 else image)
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        method = Image.Resampling.BILINEAR
        crop = resize == "crop"
        picture = (
            ImageOps.fit(picture, (width, height), method) if crop else picture.resize((width, height), method)
        )
    return np.asarray(picture).reshape(shape)
