"""Pictures of every kind and depth, written by hand or by Pillow: read rightly, or refused."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from asymbp_cli.datasets.archives.names import EXTENSIONS
from asymbp_cli.datasets.archives.signatures import START, is_picture
from asymbp_cli.datasets.readers.picture import decode
from asymbp_cli.errors import DataError

Image.init()
#: a picture with a little noise, [64, 64, 3]
RAMP = np.add.outer(np.arange(64), np.arange(64))[..., None]
PIXELS = (RAMP + np.random.default_rng(0).integers(0, 60, (64, 64, 3))).astype(np.uint8)
#: formats that Pillow reads and writes, with a mode that each has
FORMATS = {
    **dict.fromkeys(("AVIF", "BMP", "DDS", "DIB", "ICNS", "ICO", "JPEG", "JPEG2000", "MPO", "PCX"), "RGB"),
    **dict.fromkeys(("PNG", "PPM", "QOI", "SGI", "TGA", "TIFF", "WEBP"), "RGB"),
    **{"BLP": "P", "GIF": "P", "MSP": "1", "XBM": "1"},
}
#: of these nothing is said by the first bytes
UNSIGNED = {"DIB", "MSP", "TGA"}


def encode(form: str, mode: str = "RGB", pixels: NDArray[Any] = PIXELS, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, form, **options)
    return file.getvalue()


def png(width: int, depth: int, colour: int, row: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG of one row (PNG specification, 3rd edition, chapter 11)."""
    header = struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    joined = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(joined)


def tiff(
    bits: int, photometric: int, row: bytes, order: str = "<", sample: int = 1, opacity: int | None = None
) -> bytes:
    """Return a TIFF of one row of 4 grey pixels (TIFF 6.0, section 4).

    `sample`: 1 unsigned, 2 signed, 3 float. `opacity` adds a channel: 0 of what else, 1 multiplied already, 2.
    """
    samples = 1 if opacity is None else 2
    numbers = {256: 4, 257: 1, 259: 1, 262: photometric, 273: 8, 277: samples, 278: 1, 279: len(row), 339: sample}
    numbers |= {} if opacity is None else {338: opacity}
    entries = {tag: struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in numbers.items()}
    entries[258] = struct.pack(f"{order}HHIHH", 258, 3, samples, bits, bits if samples == 2 else 0)
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(row)) + row
    listed = b"".join(entry for _, entry in sorted(entries.items()))
    return start + struct.pack(f"{order}H", len(entries)) + listed + bytes(4)


def tga(bits: int, opacity: int, *pixels: bytes) -> bytes:
    """Return a TGA of one row in true colour (TGA 2.0); `opacity`: how many bits the header gives to it."""
    return (
        bytes([0, 0, 2, *[0] * 9]) + struct.pack("<HHBB", len(pixels), 1, bits, 0x20 | opacity) + b"".join(pixels)
    )


def sixteen(*values: int, order: str = ">") -> bytes:
    return struct.pack(f"{order}{len(values)}H", *values)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_read_and_known_by_its_start(form: str) -> None:
    content = encode(form, FORMATS[form])
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert np.array_equal(decode(content, 3, "x"), expected)
    assert is_picture(content[:START]) == (form not in UNSIGNED)


def test_every_ending_of_a_picture_in_pillow_is_known() -> None:
    no_pictures = {"BUFR", "EPS", "FITS", "FLI", "GRIB", "HDF5", "IM", "IPTC", "MPEG", "PALM", "PDF", "WMF"}
    known = {ending for ending, form in Image.EXTENSION.items() if form not in no_pictures}
    assert {".jpg", ".png"} <= known <= EXTENSIONS


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "ICNS"])  # which repeats itself in sizes
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_a_picture_cut_short_is_refused(form: str, kept: float) -> None:
    content = encode(form, FORMATS[form])
    with pytest.raises(DataError, match=r"x cannot be decoded: .*[Rr]e(place|move)"):
        decode(content[: int(len(content) * kept)], 3, "x")


def test_a_pcx_that_lost_its_palette_is_refused() -> None:
    content = encode("PCX", "P")
    assert np.array_equal(decode(content, 3, "x"), np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))
    with pytest.raises(DataError, match="its palette is cut off"):
        decode(content[:-10], 3, "x")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"P4 4 1\n\x50", [255, 0, 255, 0]),
        (b"P5 4 1 255\n" + bytes([0, 1, 128, 255]), [0, 1, 128, 255]),
        (b"P5 4 1 65535\n" + sixteen(0, 511, 32768, 65535), [0, 1, 128, 255]),
        (b"P5 4 1 1023\n" + sixteen(0, 4, 512, 1023), [0, 1, 128, 255]),
        (b"P2 4 1 65535\n0 511 32768 65535\n", [0, 1, 128, 255]),
        (png(4, 1, 0, b"\x50"), [0, 255, 0, 255]),
        (png(4, 2, 0, b"\x1b"), [0, 85, 170, 255]),
        (png(4, 4, 0, b"\x01\xef"), [0, 17, 238, 255]),
        (png(4, 16, 0, sixteen(0, 511, 32768, 65535)), [0, 1, 128, 255]),
        (png(4, 2, 3, b"\x1b", (b"PLTE", bytes([9, 9, 9, 7, 7, 7, 5, 5, 5, 3, 3, 3]))), [9, 7, 5, 3]),
        (png(4, 4, 3, b"\x01\x10", (b"PLTE", bytes([9, 9, 9, 7, 7, 7]))), [9, 7, 7, 9]),
        (tiff(1, 1, b"\x50"), [0, 255, 0, 255]),
        (tiff(4, 1, b"\x01\xef"), [0, 17, 238, 255]),
        (tiff(8, 0, bytes([0, 1, 128, 255])), [255, 254, 127, 0]),
        (tiff(12, 1, b"\x00\x00\x10\x80\x0f\xff"), [0, 1, 128, 255]),
        (tiff(16, 1, sixteen(0, 511, 32768, 65535, order="<")), [0, 1, 128, 255]),
        (tiff(16, 1, sixteen(0, 511, 32768, 65535), ">"), [0, 1, 128, 255]),
        (tiff(16, 0, sixteen(0, 511, 32768, 65535, order="<")), [255, 254, 127, 0]),
    ],
)
def test_grey_of_every_depth(content: bytes, expected: list[int]) -> None:
    assert decode(content, 1, "x").tolist() == [expected]
    assert decode(content, 3, "x").tolist() == [[[value] * 3 for value in expected]]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"P6 2 1 65535\n" + sixteen(0, 256, 32768, 65535, 512, 65280), [[0, 1, 128], [255, 2, 254]]),
        (png(2, 16, 2, sixteen(0, 511, 32768, 65535, 512, 65280)), [[0, 1, 128], [255, 2, 255]]),
        (tga(24, 0, b"\1\2\3", b"\4\5\6"), [[3, 2, 1], [6, 5, 4]]),
        (tga(32, 8, b"\1\2\3\0", b"\4\5\6\xff"), [[255, 255, 255], [6, 5, 4]]),
        (
            tga(32, 0, b"\1\2\3\0", b"\4\5\6\0"),
            [[3, 2, 1], [6, 5, 4]],
        ),  # no bits of opacity: the bytes say nothing
        (tga(16, 1, b"\x00\x7c", b"\xe0\x83"), [[255, 0, 0], [0, 255, 0]]),
    ],
)
def test_colours_written_by_hand(content: bytes, expected: list[list[int]]) -> None:
    assert decode(content, 3, "x").tolist() == [expected]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png(4, 1, 0, b"\x50", (b"tRNS", sixteen(0))), [255, 255, 255, 255]),
        (png(4, 1, 0, b"\x50", (b"tRNS", sixteen(1))), [0, 255, 0, 255]),
        (png(4, 2, 0, b"\x1b", (b"tRNS", sixteen(1))), [0, 255, 170, 255]),
        (png(4, 4, 0, b"\x01\xef", (b"tRNS", sixteen(14))), [0, 17, 255, 255]),
        (png(4, 8, 0, bytes([0, 1, 128, 254]), (b"tRNS", sixteen(1))), [0, 255, 128, 254]),
        (png(4, 16, 0, sixteen(0, 257, 258, 512), (b"tRNS", sixteen(257))), [0, 255, 1, 2]),
        (png(4, 2, 3, b"\x1b", (b"PLTE", bytes(range(12))), (b"tRNS", b"\xff\0")), [1, 255, 7, 10]),
        (png(2, 8, 2, bytes([1, 2, 3, 9, 9, 9]), (b"tRNS", sixteen(1, 2, 3))), [255, 9]),
        (png(2, 16, 2, sixteen(1, 2, 3, 2304, 2304, 2304), (b"tRNS", sixteen(256, 2, 3))), [0, 9]),
    ],
)
def test_a_transparent_value_becomes_white(content: bytes, expected: list[int]) -> None:
    assert decode(content, 1, "x").tolist() == [expected]


@pytest.mark.parametrize(
    ("opacity", "expected"), [(0, [10, 7, 9, 0]), (1, [165, 7, 255, 0]), (2, [159, 7, 255, 0])]
)
def test_what_the_second_channel_of_a_grey_tiff_means(opacity: int, expected: list[int]) -> None:
    content = tiff(8, 1, bytes([10, 100, 7, 255, 9, 0, 0, 255]), opacity=opacity)
    assert decode(content, 1, "x").tolist() == [expected]


def test_a_transparent_index_of_a_gif_and_an_icon_become_white() -> None:
    file = io.BytesIO()
    Image.fromarray(np.array([[0, 1, 2]], np.uint8)).save(file, "GIF", transparency=1)
    assert decode(file.getvalue(), 1, "x").tolist() == [[0, 255, 2]]
    assert (decode(encode("ICO", "RGBA", np.zeros((32, 32, 4), np.uint8)), 3, "x") == 255).all()


def test_a_palette_with_a_channel_of_opacity_is_laid_over_white() -> None:
    header = bytes([0, 1, 1]) + struct.pack("<HHB", 0, 2, 32) + bytes(4) + struct.pack("<HHBB", 2, 1, 8, 0x28)
    content = header + b"\1\2\3\0" + b"\4\5\6\xff" + bytes([0, 1])  # a TGA of 2 colours
    assert decode(content, 3, "x").tolist() == [[[255, 255, 255], [6, 5, 4]]]


def test_a_transparent_colour_of_sixteen_bits_is_refused_if_it_may_occur() -> None:
    with pytest.raises(DataError, match=r"one of its colours of 16 bits is transparent\. Save it with 8"):
        decode(png(1, 16, 2, sixteen(1, 2, 3), (b"tRNS", sixteen(1, 2, 3))), 3, "x")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (tiff(32, 1, struct.pack("<4f", 0, 0.5, 1, 1), sample=3), "floating-point numbers, so which is white is"),
        (tiff(32, 1, struct.pack("<4I", 0, 1, 2, 3)), "integers of 32 bits or with a sign, so which is white is"),
        (tiff(16, 1, struct.pack("<4h", 0, 1, -1, 3), sample=2), "integers of 32 bits or with a sign"),
        (
            tiff(64, 1, struct.pack("<4d", 0, 0.5, 1, 1), sample=3),
            "it is cut short, or of a kind that is not read",
        ),
        (b"Pf 1 1 -1.0\n" + bytes(4), "floating-point numbers"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "EPS files are no pictures"),
        (
            b"%PDF-1.7\n",
            r"it is a document \(PDF or PostScript\), not an image. Save it as JPEG or PNG, or remove",
        ),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", r"it is a drawing \(SVG\), not an image. Save it as JPEG"),
        (b"\xff\x0a\x7a", "it is a JPEG XL picture, which this installation cannot read"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "it is a pointer of Git LFS, not an image. Type git lfs",
        ),
    ],
)
def test_what_cannot_be_read_rightly_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=rf"^x cannot be decoded: .*{said}"):
        decode(content, 1, "x")


def test_lab_is_refused() -> None:
    file = io.BytesIO()
    Image.new("LAB", (2, 2)).save(file, "TIFF")
    with pytest.raises(DataError, match=r"its colours are CIELAB\. Save it as RGB"):
        decode(file.getvalue(), 3, "x")


@pytest.mark.parametrize("form", ["GIF", "PNG", "TIFF", "WEBP"])
def test_of_several_pictures_the_first_counts(form: str) -> None:
    first, second = Image.new("RGB", (8, 8), "white"), Image.new("RGB", (8, 8), "black")
    file = io.BytesIO()
    first.save(file, form, save_all=True, append_images=[second], **({"lossless": True} if form == "WEBP" else {}))
    assert (decode(file.getvalue(), 3, "x") == 255).all()


def test_cmyk_of_adobe_is_not_inverted() -> None:
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[..., 0] = 255  # cyan only
    file = io.BytesIO()
    Image.fromarray(ink, "CMYK").save(file, "JPEG", quality=100)
    assert b"Adobe" in file.getvalue()
    assert np.abs(decode(file.getvalue(), 3, "x").astype(int) - [0, 255, 255]).max() < 3


def test_damaged_notes_leave_the_pixels_as_they_are() -> None:
    content = encode("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert np.array_equal(decode(content, 3, "x", upright=True), decode(content, 3, "x"))
