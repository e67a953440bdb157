"""Image files to pixels."""

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from asymbp_cli.datasets.archives import names
from asymbp_cli.errors import DataError

EXTENSIONS = names.EXTENSIONS

_ALPHA = frozenset(("LA", "La", "PA", "RGBA", "RGBa"))  # modes with a channel of opacity
_EXIF = frozenset(("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"))  # where an orientation may be
#: what Pillow opens that is no picture, or needs other programs
_NO_PIXELS = frozenset(("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"))


def decode(content: bytes, channels: int, origin: str, *, upright: bool = False) -> NDArray[np.uint8]:
    """Return an image file's pixels as uint8 [H, W] (one channel) or [H, W, 3].

    Transparency is laid over white. Of 16 bits the upper 8 count, of several pictures the first. `upright` turns
    a picture by its EXIF orientation; otherwise it stays as stored.

    Raises DataError with `origin` if it is damaged, cut short, not an image, or of numbers whose white is unknown.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content)) as image:
            picture = _opaque(image, content)
            if upright and _EXIF & image.info.keys():
                picture = _turn(picture, image)
            return np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    except Exception as error:  # a damaged file can raise anything
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{origin} cannot be decoded: {reason}. Replace or remove it.") from error


def _opaque(image: Image.Image, content: bytes) -> Image.Image:
    """Return the image, loaded, in a mode whose conversion to L or RGB is exact enough."""
    image.load()
    mode = image.mode
    if mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if mode in ("I", "F"):  # Pillow would clip at 255, and which value is white is unknown
        raise ValueError(f"its pixels have 32 bits (mode {mode})")
    if mode == "P" and ("transparency" in image.info or (image.palette and image.palette.mode == "RGBA")):
        image, mode = image.convert("RGBA"), "RGBA"
    return _over_white(image) if mode in _ALPHA else image


def _over_white(image: Image.Image) -> Image.Image:
    picture = image.convert("RGBA")
    opacity = picture.getchannel("A")
    if opacity.getextrema()[0] == 255:
        return image
    ground = Image.new("RGB", image.size, "white")
    ground.paste(picture.convert("RGB"), mask=opacity)
    return ground


def _turn(picture: Image.Image, image: Image.Image) -> Image.Image:
    """Return the picture turned as the EXIF orientation of the image wants it."""
    try:
        picture.info = {key: image.info[key] for key in _EXIF & image.info.keys()}
        return ImageOps.exif_transpose(picture)
    except Exception:  # damaged notes beside whole pixels
        return picture


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
