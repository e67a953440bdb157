"""Image files to pixels, and pixels to the size of the network's input."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from folders import OFFICIAL, pack
from PIL import Image

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.readers.picture import decode, fit
from asymbp_cli.errors import DataError

Grow = Callable[..., Path]
Decoded = Callable[..., DecodedDataset]


def save(image: Image.Image, path: Path, **options: object) -> bytes:
    image.save(path, **options)
    return path.read_bytes()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_common_mode_is_read(mode: str, channels: int, tmp_path: Path) -> None:
    ending = "tif" if mode == "CMYK" else "png"
    white = {"I;16": 65535, "RGB": (255,) * 3, "RGBA": (255,) * 4, "CMYK": (0,) * 4, "LA": (255, 255)}
    image = Image.new("L" if mode == "P" else mode, (3, 2), white.get(mode, 255))
    image = image.convert("P") if mode == "P" else image
    pixels = decode(save(image, tmp_path / f"x.{ending}"), channels, "x")
    assert pixels.shape == ((2, 3) if channels == 1 else (2, 3, 3))
    assert pixels.dtype == np.uint8
    assert (pixels == 255).all()


def test_sixteen_bits_keep_their_upper_half(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 256, 32768, 65535]], np.uint16))
    assert decode(save(image, tmp_path / "x.png"), 1, "x").tolist() == [[0, 1, 128, 255]]


def test_floats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="pixels are floating-point numbers"):
        decode(save(Image.new("F", (2, 2), 0.5), tmp_path / "x.tif"), 1, "x")


def test_a_palette_with_transparency_warns_nobody(tmp_path: Path) -> None:
    image = Image.new("L", (2, 2), 9).convert("P")
    assert decode(save(image, tmp_path / "x.png", transparency=b"\x00\x80\xff"), 3, "x").shape == (2, 2, 3)


def test_fit_keeps_what_fits() -> None:
    grey, colour = np.arange(12, dtype=np.uint8).reshape(3, 4), np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    assert np.array_equal(fit(grey, (3, 4, 1), "squash")[:, :, 0], grey)
    assert np.array_equal(fit(grey[:, :, None], (3, 4, 1), "crop")[:, :, 0], grey)
    assert np.array_equal(fit(colour, (3, 4, 3), "squash"), colour)
    assert np.array_equal(fit(grey, (3, 4, 3), "squash"), np.stack([grey] * 3, -1))
    assert np.array_equal(
        fit(colour, (3, 4, 1), "squash")[:, :, 0], np.asarray(Image.fromarray(colour).convert("L"))
    )


def test_shrinking_is_antialiased() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    assert abs(int(fit(stripes, (8, 8, 1), "squash")[4, 4, 0]) - 127) < 10  # not 0 or 255 of one stripe


def test_squash_and_crop() -> None:
    thirds = np.repeat(np.array([[0, 100, 200]], np.uint8), 30, axis=0).repeat(30, axis=1)  # 30 x 90
    squashed, cropped = fit(thirds, (6, 6, 1), "squash"), fit(thirds, (6, 6, 1), "crop")
    assert [squashed[3, 0, 0], squashed[3, 5, 0]] == [0, 200]
    assert (cropped[:, 1:-1] == 100).all()  # the filter looks a little beyond the cut


@pytest.mark.parametrize("ending", ["", ".tar.gz", ".zip"])
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("bad.png", b"hello", "not an image"),
        ("bad.jpg", b"", "it is an empty file, not an image. Fetch it again, or remove it"),
        (
            "bad.jpg",
            b"<!DOCTYPE html><html>",
            "it is a web page (a login or an error?), not an image. Fetch it again",
        ),
        (
            "bad.heic",
            b"\0\0\0\x18ftypheic\0",
            "it is a HEIC picture, which this installation cannot read",
        ),
        ("bad.heic", b"ftypheic", "not an image"),
        ("bad.png", "cut", "cannot be decoded"),
    ],
)
def test_images_that_are_none(
    name: str, content: bytes | str, said: str, ending: str, grow: Grow, decoded: Decoded
) -> None:
    tree = grow("pets", OFFICIAL)
    whole = (tree / "train" / "cat" / "0.png").read_bytes()
    (tree / "train" / "dog" / name).write_bytes(whole[:-30] if isinstance(content, str) else content)
    path = pack(tree, ending) if ending else tree
    with pytest.raises(DataError, match=f"train/dog/{name} cannot be decoded: .* remove it") as caught:
        decoded(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_an_image_of_very_many_pixels_warns_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
    Image.new("L", (10, 10)).save(tmp_path / "large.png")
    assert decode((tmp_path / "large.png").read_bytes(), 1, "large.png").shape == (10, 10)
