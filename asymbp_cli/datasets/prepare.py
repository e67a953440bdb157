"""Decode a dataset once into memory-mappable arrays; later starts only verify their checksums."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asymbp_cli.datasets.cache import (
    ARRAYS,
    cache_directory,
    fingerprint,
    read_info,
    read_verified,
    write_info,
)
from asymbp_cli.datasets.catalog import DatasetRef
from asymbp_cli.datasets.content import ContentChecksum
from asymbp_cli.datasets.decoded import DecodedDataset, describe_shared
from asymbp_cli.datasets.locate import data_directory, find_dataset, open_dataset
from asymbp_cli.datasets.readers.base import FoundDataset, OpenDataset, SplitName, iterate_images
from asymbp_cli.datasets.readers.copies import judge_copy
from asymbp_cli.datasets.readers.picture import fit
from asymbp_cli.datasets.source import ANYWHERE, DataSource
from asymbp_cli.datasets.splits import count_held_out
from asymbp_cli.errors import DataError
from asymbp_cli.events import OnProgress
from asymbp_cli.files.locks import hold_lock

_PART = ".part"  # ending of the folder of a dataset that is being decoded
_DECODER = 1  # raised whenever the same files would give other pixels


def prepare(
    ref: DatasetRef,
    shape: tuple[int, ...],
    source: DataSource = ANYWHERE,
    *,
    resize: str = "squash",
    held_out: float = 0.0,
) -> DecodedDataset:
    """Return `ref` decoded at `shape`, from the cache if it is there and every byte of it is as it was decoded.

    `shape`: (height, width, channels) of images, which are resized, or (features,) of vectors. `resize`: "squash"
    to the shape, or "crop" the centre. Raises as `find_dataset`, and DataError if the dataset is damaged, the
    cache cannot be written, or a share of it shall be `held_out` and a class has too few samples.
    """
    told = source.on_progress
    dataset = find_dataset(ref, data_directory(source.data_dir), download=source.download, on_progress=told)
    target = _target(dataset, shape, resize, source.cache_dir)
    info = _rename(read_verified(target) or _decode_locked(dataset, shape, resize, target, told), dataset)
    return hold_out_of(info, held_out) if held_out else info


def hold_out_of(info: DecodedDataset, fraction: float) -> DecodedDataset:
    """Return a decoded dataset with how many samples are held out. Raises DataError if a class has too few."""
    count = count_held_out(info.label, np.load(info.path / "y_train.npy"), info.classes, fraction)
    return info.model_copy(update={"held_out": count})


def find_decoded(
    dataset: FoundDataset, shape: tuple[int, ...], cache_dir: Path | None, resize: str
) -> DecodedDataset | None:
    """Return a dataset as `prepare` does if it is in the cache; None if it would have to be decoded."""
    info = read_info(_target(dataset, shape, resize, cache_dir))
    return _rename(info, dataset) if info else None


def _target(dataset: FoundDataset, shape: tuple[int, ...], resize: str, cache_dir: Path | None) -> Path:
    """Return the directory of the decoded arrays."""
    key = hashlib.sha256(json.dumps([dataset.source, shape, resize, _DECODER]).encode()).hexdigest()[:16]
    return cache_directory(cache_dir) / "resident" / f"{dataset.key}-{key}"


def _rename(info: DecodedDataset, dataset: FoundDataset) -> DecodedDataset:
    """Return decoded arrays under the names that the dataset has now."""
    dataset = judge_copy(dataset, info.content)
    names = {  # are no part of the key
        "label": dataset.label,
        "paper_name": dataset.paper_name,
        "exact": dataset.exact,
        "note": dataset.note or ("" if dataset.is_copy else info.note),
        "channels": dataset.channels(),
    }
    return info.model_copy(update=names)


def _decode_locked(
    dataset: FoundDataset, shape: tuple[int, ...], resize: str, target: Path, on_progress: OnProgress | None
) -> DecodedDataset:
    """Decode into `target`, or wait for the process that does so already."""
    part = target.with_name(f".{target.name}{_PART}")
    with _explained_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        with hold_lock(target.with_name(f".{target.name}.lock")):
            if info := read_verified(target):
                return info
            for left_over in (target, part):  # a damaged cache, and what a process left that was killed just now
                shutil.rmtree(left_over, ignore_errors=True)
            try:
                part.mkdir()
                info = _decode(dataset, shape, resize, part, on_progress)
                os.replace(part, target)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return info.model_copy(update={"directory": str(target)})


def _sweep(directory: Path) -> None:
    """Delete the half-decoded datasets that killed processes left: those whose lock nobody holds."""
    for part in directory.glob(f".*{_PART}"):
        with suppress(OSError), hold_lock(part.with_name(f"{part.name.removesuffix(_PART)}.lock"), wait=False):
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _explained_errors(directory: Path) -> Iterator[None]:
    """Turn the error of a full disk or a forbidden directory into one message."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot keep the decoded images in {directory}: {error.strerror or error}. Free some space, or name "
            "another directory with --cache-dir."
        ) from error


def _decode(
    dataset: FoundDataset, shape: tuple[int, ...], resize: str, directory: Path, on_progress: OnProgress | None
) -> DecodedDataset:
    """Write arrays and info.json into `directory`; images go straight to their position, one at a time."""
    opened = open_dataset(dataset)
    content = ContentChecksum()
    pixels = _decode_pixels(dataset, opened, shape, resize, directory, content, on_progress)
    for split, labels in opened.labels.items():
        np.save(directory / f"y_{split}.npy", labels)
    shared = content.count_shared()
    info = DecodedDataset(
        key=dataset.key,
        label=dataset.label,
        paper_name=dataset.paper_name,
        exact=dataset.exact,
        classes=opened.classes,
        shape=shape,
        train_count=len(opened.train_labels),
        test_count=len(opened.test_labels),
        fingerprint=fingerprint(opened.classes, shape, pixels, opened.labels),
        note=_describe(dataset, opened, shared),
        shared=shared,
        content=content.hexdigest(),
        directory=str(directory),
    )
    del pixels  # the last reference closes the files
    for name in ARRAYS:  # a loss of power must not leave files of the right size full of zeros
        with (directory / name).open("rb") as file:
            os.fsync(file.fileno())
    write_info(info, directory)
    return info


def _describe(dataset: FoundDataset, opened: OpenDataset, shared: int) -> str:
    """Return the note of a dataset; of the user's own, also whether test images were trained on."""
    notes = [dataset.note or opened.note]
    if shared and dataset.key == "folder":
        notes.append(describe_shared(shared, len(opened.test_labels)))
    return "; ".join(filter(None, notes))


def _decode_pixels(
    dataset: FoundDataset,
    opened: OpenDataset,
    shape: tuple[int, ...],
    resize: str,
    directory: Path,
    content: ContentChecksum,
    on_progress: OnProgress | None,
) -> dict[SplitName, NDArray[Any]]:
    """Write the pixels of both splits, and return them memory-mapped.

    `content` takes in the images as they are stored.
    """
    pixels = {
        split: _reserve(directory / f"x_{split}.npy", (len(y), *shape)) for split, y in opened.labels.items()
    }
    images = iterate_images(opened, dataset.label, shape[-1], "decoding", on_progress)
    for split, position, image in images:
        content.add(split, image, int(opened.labels[split][position]))
        pixels[split][position] = image if len(shape) == 1 else fit(image, shape, resize)
    return pixels


def _reserve(file: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return an array in a new file that has its space on the disk; raises OSError if there is none.

    Images are bytes, vectors float32. Without the reservation the file has holes, and a full disk ends the
    process with SIGBUS at some later write.
    """
    kind = np.uint8 if len(shape) == 4 else np.float32
    array: NDArray[Any] = np.lib.format.open_memmap(file, mode="w+", dtype=kind, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
    return array
