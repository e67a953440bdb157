"""CIFAR-10: the published pickles, packed or not, or a JPEG copy as a folder of images."""

import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from asymbp_cli.datasets.catalog import CATALOG, FolderSource
from asymbp_cli.datasets.readers import Located, Opened, arrays, folder
from asymbp_cli.datasets.signature import check_md5, signature
from asymbp_cli.errors import DataError
from asymbp_cli.paths import is_file

_FOLDER = "cifar-10-batches-py"
_TRAIN = {  # as published: torchvision 0.27, datasets/cifar.py
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
}
_TEST = {"test_batch": "40351d587109b95175f43aff81a1287e"}
_MD5 = _TRAIN | _TEST
_COPY = "cifar10-jpeg.tar.xz"
_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def locate(root: Path) -> Located | None:
    """Return CIFAR-10 from `root`: unpacked batches, the archive, or the labelled JPEG copy; else None."""
    batches, archive, copy = root / _FOLDER, root / CATALOG["cifar10"].archives[0].name, root / _COPY
    if all(is_file(batches / name) for name in _MD5):
        source = [signature(batches / name) for name in _MD5]
        return Located("cifar10", "CIFAR-10", "CIFAR", True, source, lambda: _open_directory(batches))
    if is_file(archive):
        source = [signature(archive)]
        return Located("cifar10", "CIFAR-10", "CIFAR", True, source, lambda: _open_archive(archive))
    if is_file(copy):
        images = folder.locate(FolderSource(folder=str(copy)))
        note = "a lossy JPEG copy of CIFAR-10, so its errors are not those of the original"
        return Located("cifar10", "CIFAR-10 (JPEG copy)", "CIFAR", False, images.source, images.open, note)
    return None


def _open_directory(batches: Path) -> Opened:
    for name, published in _MD5.items():
        check_md5(batches / name, published)
    return _join({name: _batch((batches / name).read_bytes(), str(batches / name)) for name in _MD5})


def _open_archive(archive: Path) -> Opened:
    check_md5(archive, CATALOG["cifar10"].archives[0].md5)
    parts = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            name = Path(member.name).name
            content = tar.extractfile(member) if name in _MD5 else None
            if content:
                parts[name] = _batch(content.read(), f"{archive}:{member.name}")
    return _join(parts)


def _join(parts: dict[str, tuple[Any, Any]]) -> Opened:
    train = [parts[name] for name in _TRAIN]
    pixels, labels = (np.concatenate([part[i] for part in train]) for i in range(2))
    return arrays((pixels, labels), parts["test_batch"], _CLASSES)


class _Unpickler(pickle.Unpickler):
    """Admits only what the published batches hold: numpy arrays of bytes."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {"_reconstruct", "ndarray", "dtype"}
        if module.split(".")[0] == "numpy" and name in allowed:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"{module}.{name} does not belong in a CIFAR-10 batch")


def _batch(content: bytes, where: str) -> tuple[Any, Any]:
    """Return (uint8 images [N, 32, 32, 3], int64 labels [N]) of a pickled batch."""
    try:
        found = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        pixels = np.asarray(found[b"data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        labels = np.asarray(found[b"labels"], np.int64)
    except Exception as error:  # a damaged pickle can raise anything
        raise DataError(f"{where} is damaged: {error}; delete it and use --download") from error
    if len(pixels) != len(labels):
        raise DataError(f"{where}: {len(pixels)} images, but {len(labels)} labels; delete it and use --download")
    return pixels, labels
