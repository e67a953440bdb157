"""A dataset that stays on the device, as bytes or vectors; batches are normalized when they are taken."""

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.splits import check_held_out, hold_out
from asymbp_cli.errors import DataError, explain_limit
from asymbp_cli.files.patience import patiently
from asymbp_cli.files.whole import replace, sweep
from asymbp_cli.specs.protocol import Preprocessing


@dataclass(frozen=True)
class Split:
    """Labels y int64 [N]; sample i is row `rows[i]` of x, or row i without `rows`.

    x: images uint8 [., H, W, C] or vectors float32 [., D].
    """

    x: Tensor
    y: Tensor
    rows: Tensor | None = None

    def images(self, index: Tensor) -> Tensor:
        """Return the images or vectors of the samples in `index`."""
        return self.x[index if self.rows is None else self.rows[index]]


@dataclass(frozen=True)
class ResidentData:
    """All splits on one device, and the training set's statistics, which broadcast against [H, W, C] or [D]."""

    info: DecodedDataset
    train: Split
    test: Split
    validation: Split | None
    mean: Tensor
    inverse_std: Tensor

    def batch(
        self, split: Split, index: Tensor, augment: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return normalized float32 images [B, C, H, W] (channels_last) or vectors [B, D], and labels [B].

        `augment` changes images as they are stored, uint8 [B, H, W, C].
        """
        x = split.images(index)
        x = (augment(x) if augment else x).float().sub_(self.mean).mul_(self.inverse_std)
        return x.permute(0, 3, 1, 2) if x.ndim == 4 else x, split.y[index]


def load(
    info: DecodedDataset,
    *,
    device: torch.device | str = "cpu",
    preprocessing: Preprocessing = "mean-image",
    validation_fraction: float = 0.0,
    seed: int = 0,
) -> ResidentData:
    """Return the dataset on `device`; on the CPU the arrays are memory-mapped, shared between processes.

    Raises DataError if the cache is missing or a class is too small to hold samples out.
    """
    try:
        arrays = patiently(lambda: {name: np.load(info.path / f"{name}.npy", mmap_mode="c") for name in _NAMES})
    except (OSError, ValueError, EOFError) as error:
        if explain_limit(error):
            raise
        raise DataError(f"the decoded images in {info.path} are damaged ({error}). Delete that folder.") from error
    x, y = (torch.from_numpy(arrays[name]).to(device) for name in ("x_train", "y_train"))
    train = Split(x, y)
    validation = None
    rows = None
    if validation_fraction:
        check_held_out(info.label, arrays["y_train"], info.classes)
        held_out = hold_out(arrays["y_train"], validation_fraction, seed, info.classes)
        rows = np.setdiff1d(np.arange(info.train_count), held_out)
        train, validation = (_select(x, y, torch.from_numpy(part).to(device)) for part in (rows, held_out))
    mean, deviation = _statistics(info, arrays["x_train"], preprocessing, f"{validation_fraction}-{seed}", rows)
    return ResidentData(
        info=info,
        train=train,
        test=Split(*(torch.from_numpy(arrays[name]).to(device) for name in ("x_test", "y_test"))),
        validation=validation,
        mean=torch.from_numpy(mean).float().to(device),
        inverse_std=torch.from_numpy(1 / deviation).float().to(device),
    )


def _select(x: Tensor, y: Tensor, rows: Tensor) -> Split:
    return Split(x, y[rows], rows)


_CHUNK_VALUES = 1 << 22  # 32 MiB in float64
_NAMES = ("x_train", "y_train", "x_test", "y_test")


def _statistics(
    info: DecodedDataset, x: NDArray[Any], preprocessing: Preprocessing, held_out: str, rows: NDArray[Any] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean of the training images, which is subtracted, and the deviation, which divides them.

    Means and deviations are kept next to the arrays once computed.
    """
    if preprocessing == "none":
        return np.zeros(1), np.full(1, 255.0 if x.ndim == 4 else 1.0)
    if preprocessing == "mean-image-unscaled":
        return _statistics(info, x, "mean-image", held_out, rows)[0], np.ones(1)
    kept = info.path / f"statistics-{preprocessing}-{held_out}.npz"
    overall = x.ndim == 4 and preprocessing == "mean-image"
    shapes = (x.shape[1:], (1,)) if overall else (x.shape[-1:], x.shape[-1:])
    if statistics := _read_statistics(kept, shapes):
        return statistics
    mean, deviation = compute_statistics(x, preprocessing, rows)
    _try_to_keep(kept, mean, deviation)
    return mean, deviation


def _read_statistics(file: Path, shapes: tuple[tuple[int, ...], ...]) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return (mean, deviation) from a file; None if it is missing, damaged or of other shapes."""
    try:
        with file.open("rb") as opened, np.load(opened) as content:  # np.load leaves a damaged file open
            mean, deviation = content["mean"], content["deviation"]
    except Exception:  # zip files can be damaged in many ways, and this one only saves time
        return None
    fits = (mean.shape, deviation.shape) == shapes and mean.dtype == deviation.dtype == np.float64
    return (mean, deviation) if fits else None


def _try_to_keep(kept: Path, mean: NDArray[Any], deviation: NDArray[Any]) -> None:
    content = io.BytesIO()
    np.savez(content, mean=mean, deviation=deviation)
    sweep(kept)
    with suppress(OSError):  # the file only saves time
        replace(kept, content.getvalue())


def compute_statistics(
    x: NDArray[Any], preprocessing: Preprocessing, rows: NDArray[Any] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation of images [N, H, W, C] or vectors [N, D] (of `rows` only).

    In float64 and bounded memory. `mean-image`: the mean image [H, W, C] and the overall deviation from it [1];
    `mean-pixel`: mean and deviation per channel [C]. Of vectors, whose features have units of their own, always
    per feature [D] (the paper does not say). A deviation of 0 counts as 1.
    """
    rows = np.arange(len(x)) if rows is None else rows
    size = max(1, _CHUNK_VALUES // x[0].size)
    parts = [rows[i : i + size] for i in range(0, len(rows), size)]
    of_pixels = x.ndim == 4 and preprocessing == "mean-pixel"
    axes = (0, 1, 2) if of_pixels else (0,)
    per = len(rows) * x[0].size / x.shape[-1] if of_pixels else len(rows)
    mean = sum(x[part].sum(axes, dtype=np.float64) for part in parts) / per
    squares: Any = sum(np.square(x[part] - mean).sum(axes) for part in parts) / per
    overall = x.ndim == 4 and preprocessing == "mean-image"
    deviation = np.sqrt(squares.mean(keepdims=True).reshape(1) if overall else squares)
    return mean, np.where(deviation > 0, deviation, 1.0)
