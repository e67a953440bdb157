"""Image files to pixels."""

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from asymbp_cli.datasets.archives.signatures import START, find_kind, is_picture
from asymbp_cli.errors import DataError

_PLAIN = frozenset(("1", "L", "P", "RGB", "CMYK", "YCbCr"))
_GREY = frozenset(("1", "L", "LA", "La", "F"))
_OPACITY = frozenset(("LA", "La", "PA", "RGBA", "RGBa"))  # modes with a channel of it
_UNUSED_OPACITY = frozenset(("BMP", "DIB", "TGA"))  # of these, a channel of zeros says nothing, as viewers take it
_EXIF = frozenset(("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"))  # what may hold an orientation
#: what Pillow opens with the help of other programs, or measurements
_NO_PICTURES = frozenset(("BUFR", "EPS", "FITS", "GRIB", "HDF5", "MCIDAS", "MPEG", "WMF"))
_BITS, _PHOTOMETRIC = 258, 262  # tags of TIFF 6.0
_PNG_DEPTH = 24  # position of the bits per sample in a PNG


def decode(content: bytes, channels: int, origin: str, *, upright: bool = False) -> NDArray[np.uint8]:
    """Return an image file's pixels as uint8 [H, W] (one channel) or [H, W, 3].

    Transparency is laid over white. Of 16 bits the upper 8 count, of several pictures in a file the first.
    `upright` turns a picture by its EXIF orientation; otherwise it stays as stored.

    Raises DataError with `origin` if it is damaged, cut short, not an image, or it is unknown what white is.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content)) as image:
            picture = _load_opaque(image, content)
            if upright and _EXIF & image.info.keys():
                picture = _turn(picture, image)
            return np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    except Exception as error:  # a damaged file can raise anything
        reason = (
            _explain(content) if isinstance(error, UnidentifiedImageError) else f"{error}. Replace or remove it"
        )
        raise DataError(f"{origin} cannot be decoded: {reason}.") from error


def count_channels(content: bytes) -> int | None:
    """Return 1 if an image file holds shades of grey, 3 if it holds colours; None if it cannot be read.

    Only its head is looked at, so grey that is stored as colours counts as colours.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content)) as image:
            return 1 if image.mode in _GREY or image.mode.startswith("I") else 3
    except Exception:  # a damaged file can raise anything; decoding says what is wrong
        return None


def _explain(content: bytes) -> str:
    """Return why Pillow knows no such picture, and what to do."""
    if kind := find_kind(content[:START]):
        what = kind.name if "picture" in kind.name else f"{kind.name}, not an image"
        return f"it is {what}. {kind.remedy}, or remove it"
    begun = is_picture(content[:START])
    return (
        "it is cut short, or of a kind that is not read here" if begun else "not an image"
    ) + ". Replace or remove it"


def _load_opaque(image: Image.Image, content: bytes) -> Image.Image:
    """Return the image, loaded, without transparency, in a mode whose conversion to L or RGB is exact enough."""
    if image.format in _NO_PICTURES:
        raise ValueError(f"{image.format} files are no pictures")
    image.load()
    if image.mode not in _PLAIN:
        _refuse_unknown_white(image)
        if image.mode.startswith("I"):
            return _keep_upper_bits(image)
    if image.format == "PCX":
        _refuse_lost_palette(content)
    if image.format == "TGA" and content[17] & 15 != 8:  # bits of opacity that its header states
        return image
    if (clear := image.info.get("transparency")) is not None and image.mode in ("1", "L", "RGB"):
        return _whiten(image, clear, content[_PNG_DEPTH] if image.format == "PNG" else 8)
    if image.mode == "P" and (clear is not None or (image.palette and image.palette.mode == "RGBA")):
        image = image.convert("RGBA")
    return _lay_over_white(image) if image.mode in _OPACITY else image


def _refuse_unknown_white(image: Image.Image) -> None:
    """Raise ValueError if the image holds numbers of which nobody knows which is black and which is white."""
    if image.mode == "LAB":
        raise ValueError("its colours are CIELAB. Save it as RGB")
    if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
        kind = "floating-point numbers" if image.mode == "F" else "integers of 32 bits or with a sign"
        raise ValueError(f"its pixels are {kind}, so which is white is unknown. Save it with 8 or 16 bits")


def _refuse_lost_palette(content: bytes) -> None:
    """Raise ValueError if a PCX of 256 colours does not end in its palette; Pillow would take it for grey."""
    version, bits, planes, grey = content[1], content[3], content[65], content[68] == 2
    if version == 5 and bits * planes == 8 and planes == 1 and not grey and content[-769:-768] != b"\x0c":
        raise ValueError("its palette is cut off")


def _keep_upper_bits(image: Image.Image) -> Image.Image:
    """Return an image of 16 bits, or of the 12 of some TIFFs, as one of 8."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS, (16,))[0]
    pixels = (values >> (bits - 8)).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == 0:  # white is zero
        pixels = 255 - pixels
    if (clear := image.info.get("transparency")) is not None:
        pixels[values == clear] = 255
    return Image.fromarray(pixels)


def _whiten(image: Image.Image, clear: Any, depth: int) -> Image.Image:
    """Return an image of mode 1, L or RGB whose value `clear`, of `depth` bits, is transparent."""
    pixels = np.array(image.convert("RGB" if image.mode == "RGB" else "L"))
    if image.mode == "RGB":
        hit = (pixels == [value >> (depth - 8) for value in clear]).all(-1)
        if depth == 16 and hit.any():  # Pillow has dropped the lower bits
            raise ValueError("one of its colours of 16 bits is transparent. Save it with 8 bits a channel")
    elif image.mode == "1":
        hit = pixels == (255 if clear else 0)
    else:
        hit = pixels == clear * (255 // (2**depth - 1))
    pixels[hit] = 255
    return Image.fromarray(pixels)


def _lay_over_white(image: Image.Image) -> Image.Image:
    """Return an image that has a channel of opacity over white; as it is if all is opaque."""
    picture = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    opacity = picture.getchannel("A")
    lowest, highest = opacity.getextrema()
    if lowest == 255:
        return image
    if highest == 0 and image.format in _UNUSED_OPACITY:
        return picture.convert("RGB")
    ground = Image.new("RGB", image.size, "white")
    ground.paste(picture.convert("RGB"), mask=opacity)
    return ground


def _turn(picture: Image.Image, image: Image.Image) -> Image.Image:
    """Return the picture turned as the EXIF orientation of the image, whose pixels it shows, wants it."""
    picture.info = {key: image.info[key] for key in _EXIF & image.info.keys()}
    try:
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
