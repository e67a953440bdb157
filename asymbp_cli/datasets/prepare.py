"""Decode a dataset once into memory-mappable arrays; later starts only read a small file."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageOps
from platformdirs import user_cache_path
from pydantic import ValidationError

from asymbp_cli.datasets import fetch
from asymbp_cli.datasets.catalog import DatasetRef, FolderSource, find
from asymbp_cli.datasets.info import DataInfo
from asymbp_cli.datasets.readers import Located, cifar10, digits, folder, mnist
from asymbp_cli.errors import DataError

#: (what is done, done so far, of how many)
Report = Callable[[str, int, int], None]
_DECODER = 1  # raised whenever the same files would give other pixels
_READERS: dict[str, Callable[[Path], Located | None]] = {
    "digits": lambda root: digits.locate(),
    "mnist": mnist.locate,
    "cifar10": cifar10.locate,
}


def data_directory(option: Path | None) -> Path:
    """Return where datasets lie: the option, $ASYMBP_DATA, or the user's cache directory."""
    named = os.environ.get("ASYMBP_DATA")
    return option or (Path(named) if named else user_cache_path("asymbp") / "data")


def cache_directory(option: Path | None) -> Path:
    """Return where decoded datasets are kept: the option, $ASYMBP_CACHE, or the user's cache directory."""
    named = os.environ.get("ASYMBP_CACHE")
    return option or (Path(named) if named else user_cache_path("asymbp"))


def prepare(
    ref: DatasetRef,
    shape: tuple[int, int, int],
    *,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    resize: str = "squash",
    download: bool = False,
    report: Report | None = None,
) -> DataInfo:
    """Return the resident form of `ref` at `shape` (height, width, channels), decoding it if it is not there.

    `resize` squashes to the shape or crops the centre. Raises DataError where the dataset is missing (saying
    where to get it and where to put it), damaged, or the cache cannot be written.
    """
    located = _locate(ref, data_directory(data_dir), download, report)
    key = hashlib.sha256(json.dumps([located.source, shape, resize, _DECODER]).encode()).hexdigest()[:16]
    target = cache_directory(cache_dir) / "resident" / f"{located.key}-{key}"
    info = _cached(target)
    if info is None:
        info = _guarded_decode(located, shape, resize, target, report)
    named = {
        "label": located.label,
        "paper_name": located.paper_name,
        "exact": located.exact,
        "note": located.note,
    }
    return info.model_copy(update=named)


def _locate(ref: DatasetRef, root: Path, download: bool, report: Report | None) -> Located:
    if isinstance(ref, FolderSource):
        return folder.locate(ref)
    if "/" in ref or Path(ref).exists():
        return folder.locate(FolderSource(folder=ref))
    dataset = find(ref)
    located = _READERS[dataset.key](root)
    if located is None and download:
        for archive in dataset.archives:
            fetch.fetch(archive, root, report)
        located = _READERS[dataset.key](root)
    if located is None:
        raise DataError(
            f"{dataset.title} is not in {root}. Put there {dataset.accepts} (from {dataset.source}), name another "
            "directory with --data-dir, or type the same command with --download"
        )
    return located


def _cached(target: Path) -> DataInfo | None:
    """Return the info of an intact cache, else None."""
    try:
        content = json.loads((target / "info.json").read_text())
        sizes = content.pop("sizes")
        intact = all((target / name).stat().st_size == size for name, size in sizes.items())
        return DataInfo.model_validate_json(json.dumps(content | {"directory": str(target)})) if intact else None
    except (OSError, ValueError, KeyError, AttributeError, ValidationError):
        return None


def _guarded_decode(
    located: Located, shape: tuple[int, int, int], resize: str, target: Path, report: Report | None
) -> DataInfo:
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        info = _decode(located, shape, resize, temporary, report).model_copy(update={"directory": str(target)})
        sizes = {file.name: file.stat().st_size for file in temporary.iterdir()}
        content = json.dumps(info.model_dump(mode="json") | {"sizes": sizes})
        (temporary / "info.json").write_text(content)
        shutil.rmtree(target, ignore_errors=True)  # only a damaged cache gets here
        os.replace(temporary, target)
    except OSError as error:
        if _cached(target):  # another process was faster
            return info
        raise DataError(
            f"cannot keep the decoded images in {target.parent}: {error.strerror or error}. Free some space, "
            "or name another directory with --cache-dir"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return info


def _decode(
    located: Located, shape: tuple[int, int, int], resize: str, directory: Path, report: Report | None
) -> DataInfo:
    opened = located.open()
    labels: dict[str, NDArray[np.int64]] = {"train": opened.train_labels, "test": opened.test_labels}
    pixels: dict[str, NDArray[np.uint8]] = {
        split: np.lib.format.open_memmap(
            directory / f"x_{split}.npy", mode="w+", dtype=np.uint8, shape=(len(values), *shape)
        )
        for split, values in labels.items()
    }
    total = sum(map(len, labels.values()))
    for done, (split, position, image) in enumerate(opened.images(shape[2]), start=1):
        pixels[split][position] = fit(image, shape, resize)
        if report and (done % 500 == 0 or done == total):
            report(f"decoding {located.label}", done, total)
    digest = hashlib.sha256(json.dumps([opened.classes, shape]).encode())
    for split, values in labels.items():
        np.save(directory / f"y_{split}.npy", values)
        for i in range(0, len(values), 4096):
            digest.update(pixels[split][i : i + 4096].tobytes())
        digest.update(values.tobytes())
    return DataInfo(
        key=located.key,
        label=located.label,
        paper_name=located.paper_name,
        exact=located.exact,
        classes=opened.classes,
        shape=shape,
        train_count=len(labels["train"]),
        test_count=len(labels["test"]),
        fingerprint=digest.hexdigest(),
        note=located.note,
        directory=str(directory),
    )


def fit(image: NDArray[np.uint8], shape: tuple[int, int, int], resize: str) -> NDArray[Any]:
    """Return the image [H, W] or [H, W, C] at `shape`, antialiased; grey becomes RGB and RGB grey as needed."""
    height, width, channels = shape
    if image.ndim == 2 and channels == 1 and image.shape == (height, width):
        return image[:, :, None]
    if image.shape == shape:
        return image
    picture = PILImage.fromarray(image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image)
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        method = PILImage.Resampling.BILINEAR
        crop = resize == "crop"
        picture = (
            ImageOps.fit(picture, (width, height), method) if crop else picture.resize((width, height), method)
        )
    return np.asarray(picture).reshape(shape)
