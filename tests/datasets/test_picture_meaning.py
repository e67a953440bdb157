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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright_if_that_is_wanted(orientation: int) -> None:
    corners = np.array([[0, 60, 120], [180, 240, 255]], np.uint8)
    stored = {  # where row 0 and column 0 of the stored picture belong (EXIF 2.32, 4.6.4 A): undone
        1: corners,
        2: corners[:, ::-1],
        3: corners[::-1, ::-1],
        4: corners[::-1],
        5: corners.T,
        6: np.rot90(corners, 1),
        7: corners[::-1, ::-1].T,
        8: np.rot90(corners, -1),
    }[orientation]
    notes = Image.Exif()
    notes[0x0112] = orientation
    content = encode(Image.fromarray(np.ascontiguousarray(stored)), exif=notes.tobytes())
    assert np.array_equal(decode(content, 1, "x", upright=True), corners)
    assert np.array_equal(decode(content, 1, "x"), stored)
