"""Files in the idx format of MNIST, and datasets of the user's own that consist of them.

A file is told by its bytes, not by its name: it may be packed, packed twice, or unpacked under a name in .gz.
"""

import gzip
import io
import math
import os
import re
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asymbp_cli.datasets.archives.names import is_hidden
from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.datasets.checksums import signature
from asymbp_cli.datasets.readers.base import Arrays, FoundDataset, OpenDataset, open_arrays
from asymbp_cli.errors import DataError
from asymbp_cli.text import count, printable_path

_PART = r"(?P<set>.*?)[-_.]?(?P<split>train|t10k|test)[-_.](?P<what>images|labels)"
#: as train-images-idx3-ubyte, train-images.idx3-ubyte.gz, emnist-letters-test-labels-idx1-ubyte.gz
_NAME = re.compile(_PART + r"[-_.]idx[0-9][-_.]ubyte(?:\.gz)*", re.IGNORECASE)
_ALMOST = re.compile(_PART + r".*idx.*(?<!part)(?<!download)", re.IGNORECASE)
_GZIP = b"\x1f\x8b"
_MOST_BYTES = 1 << 30  # of an unpacked file; the largest known, of EMNIST, has half of them
_UNSIGNED_BYTES = 8  # the third byte of a file
_HEAD_BYTES = 4 + 4 * 255  # the most before the values
_SIZE_BYTES = 4  # at the end of a packed file: those of what it holds (RFC 1952, section 2.3.1)

PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
IdxFiles = dict[str, list[Path]]  # one of PARTS -> its files, unpacked names first


def find_idx_files(directory: Path) -> dict[str, IdxFiles]:
    """Return the idx files in a directory by what precedes `train-` or `test-` in their names ("" for MNIST's).

    Each may be in a folder of its own name, as Kaggle packs them. A directory that cannot be read holds none.
    """
    found: dict[str, IdxFiles] = {}
    for entry in _list(directory):
        match = _NAME.fullmatch(entry.name)
        if match is None:
            continue
        inside = [inner for inner in _list(Path(entry)) if part_of(inner.name) == part_of(entry.name)]
        for file in inside if entry.is_dir() else [entry]:
            files = found.setdefault(match["set"], {})
            files.setdefault(part_of(file.name), []).append(Path(file))
    return found


def find_misnamed(directory: Path) -> dict[str, Path]:
    """Return files whose names are almost those of PARTS, such as `t10k-labels-idx1-ubyte (1).gz`."""
    names = [entry.name for entry in _list(directory) if not is_idx_name(entry.name)]
    return {_part(match): directory / name for name in names if (match := _ALMOST.fullmatch(name))}


def _list(directory: Path) -> list[os.DirEntry[str]]:
    """Return the visible entries of a directory, those whose names end in .gz last; none if it cannot be read."""
    try:
        with os.scandir(directory) as entries:
            visible = [entry for entry in entries if not is_hidden(entry.name)]
    except (OSError, ValueError):
        return []
    return sorted(visible, key=lambda entry: (entry.name.lower().endswith(".gz"), entry.name))


def is_idx_name(name: str) -> bool:
    """Return whether a file has the name of an idx file."""
    return _NAME.fullmatch(name) is not None


def part_of(name: str) -> str:
    """Return which of PARTS a file is, by its name; "" if none."""
    match = _NAME.fullmatch(name)
    return _part(match) if match else ""


def _part(match: re.Match[str]) -> str:
    split = "train" if match["split"].lower() == "train" else "t10k"
    return f"{split}-{match['what'].lower()}"


def unpack(file: Path) -> bytes:
    """Return a file's bytes, unpacked as often as it was packed. Raises DataError if it cannot be read."""
    try:
        content = file.read_bytes()
        while content.startswith(_GZIP):
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
                content = packed.read(_MOST_BYTES + 1)
            if len(content) > _MOST_BYTES:
                raise DataError(f"{file} unpacks to more than {_MOST_BYTES:,} bytes. Get it again.")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file} cannot be read: {error}. Get it again.") from error
    return content


def look_at_idx(file: Path) -> None:
    """Raise DataError if an idx file is damaged. One with as many bytes as its first ones announce is not read."""
    size, shape = _read_head(file)
    if size != _count_bytes(shape):
        parse(unpack(file), file)


def _read_head(file: Path) -> tuple[int, tuple[int, ...]]:
    """Return the size of an unpacked idx file, and the shape that its head announces; -1 and () if damaged."""
    try:
        with file.open("rb") as content:
            is_packed = content.read(len(_GZIP)) == _GZIP
            size = content.seek(-_SIZE_BYTES, os.SEEK_END) + _SIZE_BYTES
            if is_packed:
                size = int.from_bytes(content.read(_SIZE_BYTES), "little")
        with gzip.open(file) if is_packed else file.open("rb") as content:
            return size, _parse_shape(content.read(_HEAD_BYTES), file)
    except (OSError, EOFError, zlib.error, DataError):
        return -1, ()


def parse(content: bytes, origin: object) -> NDArray[np.uint8]:
    """Return the array in an unpacked idx file of unsigned bytes; raises DataError if it is none, or not whole.

    The file has two zeros, the kind of its values, the number of dimensions, their sizes in 4 bytes each, the
    highest first, and the values, the last dimension running fastest (LeCun, Cortes, Burges: the MNIST database).
    """
    shape = _parse_shape(content, origin)
    if len(content) != (announced := _count_bytes(shape)):
        raise DataError(
            f"{origin} has {count(len(content), 'byte')}, not the {announced:,} that its first bytes announce. "
            "Get it again."
        )
    return np.frombuffer(content, np.uint8, offset=announced - math.prod(shape)).reshape(shape)


def _parse_shape(content: bytes, origin: object) -> tuple[int, ...]:
    if len(content) < 4 or content[:2] != bytes(2) or not content[3]:
        raise DataError(f"{origin} is not an idx file: it begins with {content[:16]!r}. Get it again.")
    if content[2] != _UNSIGNED_BYTES:
        raise DataError(f"{origin} holds values of kind 0x{content[2]:02X}; only unsigned bytes (0x08) are read.")
    return tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, 4 + 4 * content[3], 4))


def _count_bytes(shape: tuple[int, ...]) -> int:
    return 4 + 4 * len(shape) + math.prod(shape)


def locate_idx(path: Path, source: FolderSource) -> FoundDataset | None:
    """Return the dataset of the idx files in a folder, or in its raw/ folder; None if there are no such files.

    Images are [N, H, W], or [N, H, W, C] of 1 or 3 channels, as they are stored: those of EMNIST lie on their
    sides. Classes are the numbers that occur. Raises DataError if the files are of several datasets, or if one of
    them is missing.
    """
    sets = find_idx_files(path) or find_idx_files(path / "raw")
    if not sets:
        return None
    if len(sets) > 1:
        names = ", ".join(f'"{name}"' if name else "one without a name" for name in sorted(sets))
        raise DataError(f"{path} holds idx files of {len(sets)} datasets: {names}. Give each a folder of its own.")
    ((name, found),) = sets.items()
    if missing := [part for part in PARTS if part not in found]:
        raise DataError(
            f"{path} holds the idx files {', '.join(sorted(found))}, but {', '.join(missing)} is missing. Add it."
        )
    if source.asks_for_a_split:
        raise DataError(
            f"{path} has its own train and test files. Leave out the per-class counts, fraction and seed."
        )
    files = {part: _choose(found[part]) for part in PARTS}
    options = source.model_dump(mode="json", exclude={"label", "folder"})
    return FoundDataset(
        key="folder",
        label=source.label or printable_path(name or path.resolve().name),
        paper_name=None,
        exact=False,
        source=[[signature(file) for file in files.values()], options],
        open=lambda: _open(files, path),
        channels=lambda: _look_at_channels(files[PARTS[0]]),
    )


def _look_at_channels(file: Path) -> int | None:
    """Return how many channels the images in a file have, by its first bytes; None if these do not say."""
    _, shape = _read_head(file)
    return shape[3] if len(shape) == 4 else 1 if shape else None


def _choose(files: list[Path]) -> Path:
    """Return the first of the files of one part; raises DataError if their names differ in more than an ending."""
    names = {re.sub(r"[-_.]", "-", re.sub(r"(\.gz)+$", "", file.name.lower())): file for file in files}
    if len(names) > 1:
        raise DataError(f"{' and '.join(str(file) for file in names.values())} are the same part. Keep one.")
    return files[0]


def _open(files: dict[str, Path], origin: Path) -> OpenDataset:
    train, train_labels = _read_split(files["train-images"], files["train-labels"])
    test, test_labels = _read_split(files["t10k-images"], files["t10k-labels"])
    numbers = np.unique(train_labels)
    if len(numbers) < 2:
        raise DataError(f"{origin} holds only one class. At least two are needed.")
    if odd := sorted(set(test_labels.tolist()) - set(numbers.tolist())):
        raise DataError(f'{origin}: class "{odd[0]}" has test images, but none to train. Get the files again.')
    return open_arrays(
        (train, np.searchsorted(numbers, train_labels)),
        (test, np.searchsorted(numbers, test_labels)),
        tuple(map(str, numbers)),
    )


def _read_split(images_file: Path, labels_file: Path) -> Arrays:
    images, labels = (parse(unpack(file), file) for file in (images_file, labels_file))
    is_picture = images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3))
    if not is_picture or labels.ndim != 1 or not images.size:
        raise DataError(
            f"{images_file} and {labels_file.name} hold {_sizes(images)} and {_sizes(labels)} values, not images "
            "with height and width, grey or of 3 channels, and a label for each."
        )
    if len(images) != len(labels):
        raise DataError(
            f"{images_file} holds {count(len(images), 'image')}, "
            f"but {labels_file.name} {count(len(labels), 'label')}."
        )
    return images, labels.astype(np.int64)


def _sizes(array: NDArray[np.uint8]) -> str:
    return " x ".join(map(str, array.shape))
