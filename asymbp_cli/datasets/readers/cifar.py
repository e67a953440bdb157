"""CIFAR-10 and CIFAR-100 as torchvision keeps them, or copies of them as pictures."""

import hashlib
import io
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.checksums import digest, signature, verify
from asymbp_cli.datasets.readers.base import (
    Absent,
    FoundDataset,
    OpenDataset,
    find_first,
    find_parts,
    open_arrays,
)
from asymbp_cli.datasets.readers.copies import CLASSES, find_named, locate_copy
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.errors import DataError
from asymbp_cli.text import count


@dataclass(frozen=True)
class Batches:
    """The pickled files of one CIFAR, by name with their MD5 (from torchvision 0.27, datasets/cifar.py)."""

    folder: str
    train: Mapping[str, str]
    test: Mapping[str, str]
    meta: Mapping[str, str]
    labels: bytes  # key in the train and test files
    names: bytes  # key in the meta file

    @property
    def md5(self) -> dict[str, str]:
        """Return the MD5 of every file."""
        return {**self.train, **self.test, **self.meta}


CIFAR10 = Batches(
    folder="cifar-10-batches-py",
    train={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    },
    test={"test_batch": "40351d587109b95175f43aff81a1287e"},
    meta={},
    labels=b"labels",
    names=b"",
)
CIFAR100 = Batches(
    folder="cifar-100-python",
    train={"train": "16019d7e3df5f24257cddd939b257f8d"},
    test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    meta={"meta": "7973b15100ade9c7d40fb424638fde48"},
    labels=b"fine_labels",
    names=b"fine_label_names",
)


def locate(key: str, files: Batches, root: Path) -> FoundDataset | Absent:
    """Return a CIFAR from `root`: unpacked batches, else the archive, else a copy as pictures."""
    entry, named = CATALOG[key], find_named(key, root)
    homes = [home / files.folder for home in (root, *named)] + named
    batches = find_parts(homes, [[name] for name in files.md5])
    if not isinstance(batches, Absent):
        source = [signature(file) for file in batches]
        return FoundDataset.of(entry, source, partial(_open_files, files, batches), batches[0].parent)
    name = entry.archives[0].name
    for home in (root, *named):
        if archive := find_first(home, name, name.removesuffix(".gz"), name.replace(".tar.gz", ".tgz")):
            opening = partial(_open_archive, key, files, archive)
            return FoundDataset.of(entry, [signature(archive)], opening, archive)
    copy = locate_copy(key, root)
    return copy if isinstance(copy, FoundDataset) else batches


def locate_cifar10(root: Path) -> FoundDataset | Absent:
    """Return CIFAR-10 from `root`."""
    return locate("cifar10", CIFAR10, root)


def locate_cifar100(root: Path) -> FoundDataset | Absent:
    """Return CIFAR-100 with its 100 fine labels from `root`."""
    return locate("cifar100", CIFAR100, root)


def _open_files(files: Batches, batches: Sequence[Path]) -> OpenDataset:
    for file in batches:
        verify(file, files.md5[file.name])
    parts = {file.name: _load(file.read_bytes(), file) for file in batches}
    return _join(files, parts, batches[0].parent)


def _open_archive(key: str, files: Batches, archive: Path) -> OpenDataset:
    """Open the published archive, or one that is packed otherwise and holds the published files."""
    published = CATALOG[key].archives[0].checksum
    try:
        is_published = digest(archive, published) == published
        tree = Tree(archive)
        members = {name for name in tree.names() if Path(name).name in files.md5}
        contents = {Path(name).name: content for name, content in tree.read(members)}
    except (OSError, DataError) as error:
        reason = str(error) if isinstance(error, DataError) else error.strerror
        raise DataError(
            f"{archive} is not the published file ({reason}). Delete it and use --download."
        ) from error
    for name, content in contents.items():
        if not is_published and hashlib.md5(content, usedforsecurity=False).hexdigest() != files.md5[name]:
            raise DataError(
                f"{archive}: {name} is not the published file (MD5 differs). Delete it and use --download."
            )
    parts = {name: _load(content, f"{archive}:{name}") for name, content in contents.items()}
    return _join(files, parts, archive)


def _join(files: Batches, parts: dict[str, Any], origin: Path) -> OpenDataset:
    if missing := [name for name in files.md5 if name not in parts]:
        raise DataError(f"{origin} holds no {missing[0]}. Delete it and use --download.")
    train = [_images(parts[name], files, name) for name in files.train]
    pixels, labels = (np.concatenate([part[i] for part in train]) for i in range(2))
    (test,) = (_images(parts[name], files, name) for name in files.test)
    names = [parts[name][files.names] for name in files.meta]
    return open_arrays(
        (pixels, labels), test, tuple(name.decode() for name in names[0]) if names else CLASSES["cifar10"]
    )


class _Unpickler(pickle.Unpickler):
    """Admits only the contents of the published batches: numpy arrays of bytes."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {"_reconstruct", "ndarray", "dtype"}
        if module.split(".")[0] == "numpy" and name in allowed:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"{module}.{name} does not belong in a CIFAR batch")


def _load(content: bytes, origin: object) -> Any:
    try:
        return _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a damaged pickle can raise anything
        raise _damaged(origin, error) from error


def _images(batch: Any, files: Batches, origin: str) -> tuple[Any, Any]:
    """Return (uint8 images [N, 32, 32, 3], int64 labels [N]) of a batch."""
    try:
        pixels = np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        labels = np.asarray(batch[files.labels], np.int64)
    except Exception as error:
        raise _damaged(origin, error) from error
    if len(pixels) != len(labels):
        counts = f"{count(len(pixels), 'image')}, but {count(len(labels), 'label')}"
        raise DataError(f"{origin}: {counts}. Delete it and use --download.")
    return pixels, labels


def _damaged(origin: object, error: Exception) -> DataError:
    return DataError(f"{origin} is damaged: {error}. Delete it and use --download.")
