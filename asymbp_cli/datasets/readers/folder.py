"""Images of the user's own: `train/CLASS/*` and `test/CLASS/*`, or one tree `CLASS/*` split by a seed."""

import io
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import UnidentifiedImageError

from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.datasets.readers import Image, Located, Opened, SplitName
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.datasets.splits import permutation
from asymbp_cli.errors import DataError

_EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
_DEFAULT_TEST_FRACTION = 0.25
_LAYOUT = "it needs train/CLASS/* and test/CLASS/*, or one folder per class"


def locate(source: FolderSource) -> Located:
    """Return the images of a folder or archive; raises DataError where it does not exist or cannot be read."""
    path = Path(source.folder).expanduser()
    tree = Tree(path)
    identity = [tree.source(), source.model_dump(mode="json", exclude={"label", "folder"})]
    label = source.label or path.name.split(".")[0]
    return Located("folder", label, None, False, identity, lambda: _open(tree, source), _note(source))


def _note(source: FolderSource) -> str:
    if source.train_per_class or source.test_per_class or source.test_fraction:
        return f"split per class by seed {source.seed}"
    return ""


def _open(tree: Tree, source: FolderSource) -> Opened:
    files = {name: parts for name in tree.names() if (parts := _image_parts(name))}
    if not files:
        raise DataError(f"{tree.path} holds no images; {_LAYOUT}")
    files = _without_wrapper(files)
    tops = {parts[0].lower() for parts in files.values()}
    members = (
        _official(tree.path, files, source) if {"train", "test"} <= tops else _drawn(tree.path, files, source)
    )
    classes = sorted({label for label, _ in members["train"]})
    number = {label: i for i, label in enumerate(classes)}
    labels = {
        split: np.array([number[label] for label, _ in pairs], dtype=np.int64) for split, pairs in members.items()
    }
    place: dict[str, tuple[SplitName, int]] = {
        name: (split, i) for split, pairs in members.items() for i, (_, name) in enumerate(pairs)
    }

    def images(channels: int) -> Iterator[Image]:
        for name, content in tree.read(set(place)):
            yield *place[name], decode(content, channels, f"{tree.path}:{name}")

    return Opened(tuple(classes), labels["train"], labels["test"], images)


def _image_parts(name: str) -> tuple[str, ...] | None:
    """Return the path's parts if it is an image, None for hidden files and other kinds."""
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return None if hidden or PurePosixPath(name).suffix.lower() not in _EXTENSIONS else parts


Files = dict[str, tuple[str, ...]]
Members = dict[SplitName, list[tuple[str, str]]]  # split -> (class, file name), sorted


def _without_wrapper(files: Files) -> Files:
    """Drop folders that hold everything, as `flowers17/` in `flowers17/01_daffodil/image_0001.jpg`."""
    while len({parts[0] for parts in files.values()}) == 1 and min(map(len, files.values())) > 2:
        files = {name: parts[1:] for name, parts in files.items()}
    return files


def _official(path: Path, files: Files, source: FolderSource) -> Members:
    if source.train_per_class or source.test_per_class or source.test_fraction:
        raise DataError(f"{path} has its own train and test folders; leave out the per-class counts and fractions")
    members: Members = {"train": [], "test": []}
    for name, parts in sorted(files.items()):
        top = parts[0].lower()
        if len(parts) < 3 or top not in members:
            raise DataError(f"{path}: {name} lies outside train/CLASS/ and test/CLASS/; {_LAYOUT}")
        members["train" if top == "train" else "test"].append((parts[1], name))
    train, test = ({label for label, _ in members[split]} for split in ("train", "test"))
    if train != test:
        odd = sorted(train ^ test)[0]
        here, there = ("train", "test") if odd in train else ("test", "train")
        raise DataError(f'{path}: class "{odd}" has images in {here}/ but none in {there}/')
    return _enough(path, members)


def _drawn(path: Path, files: Files, source: FolderSource) -> Members:
    by_class: dict[str, list[str]] = {}
    for name, parts in sorted(files.items()):
        if len(parts) < 2:
            raise DataError(f"{path}: {name} lies in no class folder; {_LAYOUT}")
        by_class.setdefault(parts[0], []).append(name)
    members: Members = {"train": [], "test": []}
    for label, names in by_class.items():
        order = [names[i] for i in permutation(len(names), source.seed, "split", label)]
        train, test = _counts(path, label, len(names), source)
        members["train"] += [(label, name) for name in sorted(order[:train])]
        members["test"] += [(label, name) for name in sorted(order[train : train + test])]
    return _enough(path, members)


def _counts(path: Path, label: str, have: int, source: FolderSource) -> tuple[int, int]:
    """Return how many of `have` images train and test."""
    train, test = source.train_per_class, source.test_per_class
    if train is None and test is None:
        test = max(1, round(have * (source.test_fraction or _DEFAULT_TEST_FRACTION)))
    train = have - (test or 0) if train is None else train
    test = have - train if test is None else test
    if min(train, test) < 1 or train + test > have:
        wanted = f"{max(train, 1)} to train and {max(test, 1)} to test"
        raise DataError(f'{path}: class "{label}" has {have} images, too few for {wanted}')
    return train, test


def _enough(path: Path, members: Members) -> Members:
    if len({label for label, _ in members["train"]}) < 2:
        raise DataError(f"{path} holds one class only; {_LAYOUT}, and at least two classes")
    return members


def decode(content: bytes, channels: int, where: str) -> NDArray[np.uint8]:
    """Return an image file's pixels as [H, W] (one channel) or [H, W, 3].

    Raises DataError naming the file where it is damaged, cut short, or no image.
    """
    try:
        with PILImage.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (OSError, SyntaxError, ValueError, PILImage.DecompressionBombError) as error:
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{where} cannot be decoded: {reason}; replace or remove it") from error
