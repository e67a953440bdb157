"""Decode a dataset once into memory-mappable arrays; later starts only read a small file."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from asymbp_cli.datasets import fetch
from asymbp_cli.datasets.catalog import CATALOG, DatasetRef, FolderSource, dataset_ref, find
from asymbp_cli.datasets.checksums import signature
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.datasets.readers import (
    FoundDataset,
    OpenDataset,
    SplitName,
    cifar,
    digits,
    drawn,
    every,
    folder,
    icub,
    listed,
    mnist,
    stl10,
    svhn,
    timit,
)
from asymbp_cli.datasets.readers.picture import fit
from asymbp_cli.errors import DataError, MissingDataError
from asymbp_cli.locks import hold_lock

#: (what is done, done so far, of how many)
Report = Callable[[str, int, int], None]
_DECODER = 1  # raised whenever the same files would give other pixels
_READERS: dict[str, Callable[[Path], FoundDataset | None]] = {
    "digits": lambda root: digits.locate(),
    "mnist": mnist.locate,
    "cifar10": cifar.locate_cifar10,
    "cifar100": cifar.locate_cifar100,
    "svhn": svhn.locate,
    "stl10": stl10.locate,
    "caltech101": drawn.reader("caltech101"),
    "caltech256": drawn.reader("caltech256"),
    "icub": icub.locate,
    "flowers17": listed.locate_flowers17,
    "flowers102": listed.locate_flowers102,
    "pubfig83": drawn.reader("pubfig83"),
    "sufrw": listed.locate_sufrw,
    "lfw": drawn.reader("lfw"),
    "indoor67": listed.locate_indoor67,
    "timit": timit.locate,
}
_SPLITS: tuple[SplitName, ...] = ("train", "test")
_ARRAYS = tuple(f"{array}_{split}.npy" for split in _SPLITS for array in "xy")


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
    shape: tuple[int, ...],
    *,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    resize: str = "squash",
    download: bool = False,
    report: Report | None = None,
) -> DecodedDataset:
    """Return the resident form of `ref` at `shape`, decoding it if it is not there.

    `shape`: (height, width, channels) of images, which are resized, or (features,) of vectors.

    `resize`: "squash" to the shape, or "crop" the centre. `download` fetches what is missing, and replaces a
    stand-in by the published files. Raises MissingDataError, saying where to get the dataset and where to put
    it; DataError where it is damaged or the cache cannot be written; UsageError where no dataset has the name.
    """
    located = locate_any(ref, data_directory(data_dir), download=download, report=report)
    key = hashlib.sha256(json.dumps([located.source, shape, resize, _DECODER]).encode()).hexdigest()[:16]
    target = cache_directory(cache_dir) / "resident" / f"{located.key}-{key}"
    info = _cached(target) or _decode_alone(located, shape, resize, target, report)
    named = {  # how a dataset is called is no part of the key
        "label": located.label,
        "paper_name": located.paper_name,
        "exact": located.exact,
        "note": located.note or info.note,
    }
    return info.model_copy(update=named)


def locate(row: CatalogEntry, root: Path) -> FoundDataset | None:
    """Return a dataset of the catalog that lies in `root`, else None. Raises DataError where it cannot be read."""
    return _READERS[row.key](root)


def locate_any(
    ref: DatasetRef, root: Path, *, download: bool = False, report: Report | None = None
) -> FoundDataset:
    """Return the dataset that `ref` names, fetched if `download` says so; raises as `prepare` does."""
    named = dataset_ref(ref) if isinstance(ref, str) else ref
    if isinstance(named, FolderSource):
        return folder.locate(named)
    row = find(named)
    located = locate(row, root)
    if download and row.archives and (located is None or located.stand_in):
        fetch_all(row, root, report)
        located = locate(row, root)
    if located is None:
        raise MissingDataError(missing(row, root))
    return located


def fetch_all(row: CatalogEntry, root: Path, report: Report | None = None) -> None:
    """Download every archive of a dataset into `root`; raises DataError where that fails."""
    for archive in row.archives:
        fetch.fetch(archive, root, report)


def missing(dataset: CatalogEntry, root: Path) -> str:
    """Return what to say of a dataset that is not in `root`: what to put there, where it comes from."""
    way = (
        f"or fetch it: add --download, or type asymbp data fetch {dataset.key}"
        if dataset.archives
        else f"then type asymbp data check {dataset.key}. It is not fetched for you: {dataset.by_hand}"
    )
    return (
        f"{dataset.title} is not in {root}. Put there {dataset.accepts} (from {dataset.source}), or name another "
        f"directory with --data-dir; {way}"
    )


def _cached(target: Path) -> DecodedDataset | None:
    """Return the info of an intact cache, else None."""
    try:
        content = json.loads((target / "info.json").read_text(encoding="utf-8"))
        kept = content.pop("files")
        info = DecodedDataset.model_validate_json(json.dumps(content | {"directory": str(target)}))
        return info if kept == _files(target) or _as_decoded(info) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):  # pydantic's is a ValueError
        return None


def _files(directory: Path) -> dict[str, list[int]]:
    """Return size and time of change of each array: while they are the same, so is what they hold."""
    return {name: list(signature(directory / name)[1:]) for name in _ARRAYS}


def _as_decoded(info: DecodedDataset) -> bool:
    """Tell whether arrays that were touched still hold what was decoded, and remember that they do."""
    pixels: dict[SplitName, NDArray[Any]] = {}
    labels: dict[SplitName, NDArray[np.int64]] = {}
    for split in _SPLITS:
        pixels[split] = np.load(info.path / f"x_{split}.npy", mmap_mode="r")
        labels[split] = np.load(info.path / f"y_{split}.npy")
    if _fingerprint(info.classes, info.shape, pixels, labels) != info.fingerprint:
        return False
    with suppress(OSError):  # a cache that may not be written is checked each time
        _write_info(info, info.path)
    return True


def _write_info(info: DecodedDataset, directory: Path) -> None:
    content = json.dumps(info.model_dump(mode="json") | {"files": _files(directory)})
    temporary = directory / f".info-{os.getpid()}"
    try:
        temporary.write_text(content, encoding="utf-8")
        os.replace(temporary, directory / "info.json")
    finally:
        temporary.unlink(missing_ok=True)


def _decode_alone(
    located: FoundDataset, shape: tuple[int, ...], resize: str, target: Path, report: Report | None
) -> DecodedDataset:
    """Decode into `target`, or wait for the process that does so already."""
    part = target.with_name(f".{target.name}.part")
    with _writing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        with hold_lock(target.with_name(f".{target.name}.lock")):
            if found := _cached(target):
                return found
            for left_over in (target, part):  # a damaged cache, and what a killed process left
                shutil.rmtree(left_over, ignore_errors=True)
            try:
                part.mkdir()
                info = _decode(located, shape, resize, part, report)
                os.replace(part, target)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return info.model_copy(update={"directory": str(target)})


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    """Turn what a full disk or a forbidden directory raises into one message."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot keep the decoded images in {directory}: {error.strerror or error}. Free some space, or name "
            "another directory with --cache-dir"
        ) from error


def _decode(
    located: FoundDataset, shape: tuple[int, ...], resize: str, directory: Path, report: Report | None
) -> DecodedDataset:
    """Write arrays and info.json into `directory`; images go straight to their place, one at a time."""
    opened = located.open()
    check_counts(located, opened)
    labels: dict[SplitName, NDArray[np.int64]] = {"train": opened.train_labels, "test": opened.test_labels}
    pixels = {split: _reserve(directory / f"x_{split}.npy", (len(y), *shape)) for split, y in labels.items()}
    total = sum(map(len, labels.values()))
    for done, (split, position, image) in enumerate(every(opened, located.label, shape[-1]), start=1):
        pixels[split][position] = image if len(shape) == 1 else fit(image, shape, resize)
        if report and (done % 500 == 0 or done == total):
            report(f"decoding {located.label}", done, total)
    for split, y in labels.items():
        np.save(directory / f"y_{split}.npy", y)
    info = DecodedDataset(
        key=located.key,
        label=located.label,
        paper_name=located.paper_name,
        exact=located.exact,
        classes=opened.classes,
        shape=shape,
        train_count=len(labels["train"]),
        test_count=len(labels["test"]),
        fingerprint=_fingerprint(opened.classes, shape, pixels, labels),
        note=located.note or opened.note,
        directory=str(directory),
    )
    del pixels  # the last reference closes the files
    for name in _ARRAYS:  # a loss of power must not leave files of the right size full of zeros
        with (directory / name).open("rb") as file:
            os.fsync(file.fileno())
    _write_info(info, directory)
    return info


def check_counts(located: FoundDataset, opened: OpenDataset) -> None:
    """Refuse a copy of a known dataset that lacks images: its error rates would bear a wrong name."""
    row = CATALOG.get(located.key)
    found = len(opened.train_labels), len(opened.test_labels)
    for labels in (opened.train_labels, opened.test_labels):
        if len(labels) and not (labels.min() >= 0 and labels.max() < len(opened.classes)):
            span = f"labels from {labels.min()} to {labels.max()} for {len(opened.classes)} classes"
            raise DataError(f"{located.label} has {span}; its files are damaged")
    if row and len(opened.classes) != row.classes:
        raise DataError(f"{located.label} must have {row.classes} classes, not {len(opened.classes)}")
    if row and row.train_count and found != (row.train_count, row.test_count):
        remedy = "delete them and use --download" if row.archives else f"get them again from {row.source}"
        raise DataError(
            f"{located.label} must have {row.train_count} training and {row.test_count} test samples, but its "
            f"files hold {found[0]} and {found[1]}; {remedy}"
        )


def _reserve(file: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return an array in a new file that has its place on the disk, raising OSError where there is none.

    Images are bytes, vectors float32. Without the reservation the file has holes, and a full disk ends the
    process with SIGBUS at some later write.
    """
    kind = np.uint8 if len(shape) == 4 else np.float32
    array: NDArray[Any] = np.lib.format.open_memmap(file, mode="w+", dtype=kind, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
    return array


def _fingerprint(
    classes: tuple[str, ...],
    shape: tuple[int, ...],
    pixels: dict[SplitName, NDArray[Any]],
    labels: dict[SplitName, NDArray[np.int64]],
) -> str:
    digest = hashlib.sha256(json.dumps([classes, shape]).encode())
    for split, y in labels.items():
        for i in range(0, len(y), 4096):
            digest.update(pixels[split][i : i + 4096].tobytes())
        digest.update(y.tobytes())
    return digest.hexdigest()
