"""Transparency and orientation: a picture is what a viewer shows."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from asymbp_cli.datasets.readers.picture import decode


def encode(image: Image.Image, form: str = "png", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def laid_over_white(colour: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    share = opacity[..., None] / 255
    return np.round(colour * share + 255 * (1 - share))


@pytest.mark.parametrize("form", ["png", "tiff", "webp"])
def test_transparency_is_laid_over_white(form: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    content = encode(
        Image.fromarray(pixels), form, **({"lossless": True, "exact": True} if form == "webp" else {})
    )
    assert np.array_equal(decode(content, 3, "x"), laid_over_white(pixels[..., :3], pixels[..., 3]))


def test_grey_with_transparency_is_laid_over_white() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 2), dtype=np.uint8)
    white = laid_over_white(pixels[..., :1], pixels[..., 1])
    content = encode(Image.merge("LA", [Image.fromarray(np.ascontiguousarray(pixels[..., i])) for i in (0, 1)]))
    assert np.array_equal(decode(content, 1, "x"), white[..., 0])
    assert np.array_equal(decode(content, 3, "x"), np.repeat(white, 3, -1))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["LA", "PA", "RGBA"])
def test_an_opaque_picture_keeps_its_colours_to_the_bit(mode: str, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).convert("P" if mode == "PA" else "RGB").convert(mode)
    expected = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    assert np.array_equal(decode(encode(image, "tiff"), channels, "x"), expected)


CORNERS = np.array([[0, 60, 120], [180, 240, 255]], np.uint8).repeat(16, 0).repeat(16, 1)
#: the same picture as each EXIF orientation stores it: by what row 0 and column 0 show (EXIF 2.32, 4.6.4 A)
STORED = {
    1: CORNERS,
    2: CORNERS[:, ::-1],
    3: CORNERS[::-1, ::-1],
    4: CORNERS[::-1],
    5: CORNERS.T,
    6: np.rot90(CORNERS, 1),
    7: CORNERS[::-1, ::-1].T,
    8: np.rot90(CORNERS, -1),
}


def oriented(orientation: int) -> tuple[Image.Image, bytes]:
    """Return the stored picture and the notes that say how it is turned."""
    notes = Image.Exif()
    notes[0x0112] = orientation
    return Image.fromarray(np.ascontiguousarray(STORED[orientation])), notes.tobytes()


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "mpo"])
def test_a_picture_is_turned_upright_if_that_is_wanted(form: str, orientation: int) -> None:
    image, notes = oriented(orientation)
    options = {"png": {}, "jpeg": {"quality": 100}, "mpo": {"quality": 100}, "webp": {"lossless": True}}[form]
    content = encode(image, form, exif=notes, **options)
    for upright, expected in ((True, CORNERS), (False, STORED[orientation])):
        pixels = decode(content, 1, "x", upright=upright)
        assert pixels.shape == expected.shape
        assert np.abs(pixels.astype(int) - expected).max() <= (1 if options.get("quality") else 0)


def test_an_orientation_behind_the_pixels_of_a_png_counts() -> None:
    image, notes = oriented(6)
    content = encode(image, exif=notes)
    start = content.index(b"eXIf") - 4
    chunk = content[start : start + 12 + int.from_bytes(content[start : start + 4], "big")]
    moved = content.replace(chunk, b"")
    assert np.array_equal(decode(moved[:-12] + chunk + moved[-12:], 1, "x", upright=True), CORNERS)


def test_an_orientation_in_xmp_counts() -> None:
    image, _ = oriented(6)
    content = encode(image, "webp", lossless=True, xmp=b'<x:xmpmeta tiff:Orientation="6"/>')
    assert np.array_equal(decode(content, 1, "x", upright=True), CORNERS)


def test_a_picture_with_transparency_or_of_sixteen_bits_is_turned_too() -> None:
    image, notes = oriented(6)
    grey = np.asarray(image)
    opacity = Image.fromarray(np.full_like(grey, 100))
    white = laid_over_white(CORNERS[..., None], np.full_like(CORNERS, 100))[..., 0]
    assert np.array_equal(
        decode(encode(Image.merge("LA", [image, opacity]), exif=notes), 1, "x", upright=True), white
    )
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    assert np.array_equal(decode(encode(deep, exif=notes), 1, "x", upright=True), CORNERS)
