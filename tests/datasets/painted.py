"""Images that tell their class by their brightness, and files and archives of them.

They are darker above than below and redder than blue, so that wrong labels, swapped axes and channels show.
"""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

STEP, LOWEST, BELOW, REDDER = 18, 30, 8, 6  # grey levels


def paint(brightness: int, height: int, width: int) -> NDArray[np.uint8]:
    """Return an image [H, W, 3]."""
    image = np.full((height, width, 3), LOWEST + STEP * brightness, np.int64)
    image[height // 2 :] += BELOW
    image += np.array([REDDER, 0, -REDDER])
    return image.astype(np.uint8)


def brightness(image: NDArray[Any]) -> int:
    """Return the brightness of an image [H, W] or [H, W, C] that `paint` made; fails where it is turned."""
    plain = image.astype(float)
    half = len(plain) // 2
    assert plain[half + 1 :].mean() - plain[: half - 1].mean() == pytest.approx(BELOW, abs=2)
    if image.shape[-1] == 3:
        assert (
            plain[..., 0].mean() - plain[..., 2].mean() == pytest.approx(2 * REDDER, abs=3)
            or np.ptp(image, -1).max() == 0
        )
    found = (plain.mean() - LOWEST - BELOW / 2) / STEP
    assert abs(found - round(found)) < 0.2
    return round(found)


def jpeg(level: int, height: int = 30, width: int = 40, mode: str = "RGB") -> bytes:
    """Return a JPEG file."""
    content = io.BytesIO()
    picture = Image.fromarray(paint(level, height, width)).convert(mode)
    picture.save(content, "JPEG", quality=100, subsampling=0)
    return content.getvalue()


def packed(path: Path, files: Mapping[str, bytes], mode: str = "w:gz") -> Path:
    """Write a tar."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def unpacked(root: Path, files: Mapping[str, bytes]) -> Path:
    """Write files."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def idx(array: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()
