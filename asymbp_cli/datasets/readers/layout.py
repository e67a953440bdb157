"""What the folders of a user's own images mean: splits, classes, or wrappers around them. Names only, no files."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from asymbp_cli.errors import DataError
from asymbp_cli.text import is_number

Parts = tuple[str, ...]  # of a path, from the outside in
Rewrite = Callable[[Parts], Parts]

LAYOUT = "Expected: train/CLASS/* and test/CLASS/*, or one folder per class"

_SPLITS = {
    "train": ("train", "training", "trn"),
    "test": ("test", "testing", "tst"),
    "validation": ("val", "valid", "validation", "dev", "eval", "evaluation"),
}
_SPLIT_OF = {word: split for split, words in _SPLITS.items() for word in words}
#: say nothing beside the name of a split
_FILLERS = (
    *("set", "data", "dataset", "images", "image", "imgs", "img", "pictures", "photos"),
    *("samples", "split", "files", "folder"),
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+|[^\W0-9_]+")
_GLUED = re.compile(rf"({'|'.join(sorted(_SPLIT_OF, key=len, reverse=True))})({'|'.join(_FILLERS)})?")


def find_split(folder: str) -> tuple[str, Parts] | None:
    """Return the split that a folder's name means, and its other words: `seg_train` is ("train", ("seg",)).

    None if no word of it means a split, or more than one.
    """
    splits, others = [], []
    for word in map(str.lower, _WORD.findall(folder)):
        if found := _GLUED.fullmatch(word):
            splits.append(_SPLIT_OF[found[1]])
        elif word not in _FILLERS:
            others.append(word)
    return (splits[0], tuple(others)) if len(splits) == 1 else None


def is_split(folder: str) -> bool:
    """Return whether a folder's name is one word that means a split: `train`, `Testing`."""
    return folder.lower() in _SPLIT_OF


def find_splits(path: Path, images: Collection[Parts], folders: Collection[Parts]) -> Rewrite | None:
    """Return how to turn each path into (split, class, ...), None if there are no splits.

    Splits hold the classes (`train/cat/`), or each class holds its splits (`cat/train/`). A folder around all
    classes of a split is left out (`train/train/cat/`). What is in no split keeps its path. Raises DataError if a
    split is missing, or if it cannot be told which folders belong together.
    """
    if (splits := _pair(path, {parts[0] for parts in images})) is not None:
        return _unwrapping(lambda parts: (splits.get(parts[0], parts[0]), *parts[1:]), images, folders)
    inner = _list_folders(images, 0)
    pairs = {label: found for label, names in inner.items() if (found := _pair(path / label, names, whole=False))}
    _refuse_hidden_splits(path, images, inner, bool(pairs))
    if not pairs or len(inner) == 1:
        return None
    if odd := sorted(inner.keys() - pairs.keys()):
        raise DataError(
            f"{path}: {sorted(pairs)[0]}/ has folders to train and to test inside, {odd[0]}/ has none. {LAYOUT}."
        )

    def swap(parts: Parts) -> Parts:
        split = pairs.get(parts[0], {}).get(parts[1]) if len(parts) > 1 else None
        return (split, parts[0], *parts[2:]) if split else parts

    return swap


def _list_folders(images: Iterable[Parts], level: int) -> dict[str, set[str]]:
    """Return the folders that hold images `level` + 1 below each of the outermost folders."""
    found: dict[str, set[str]] = {parts[0]: set() for parts in images}
    for parts in images:
        if len(parts) > level + 2:
            found[parts[0]].add(parts[level + 1])
    return found


def find_common_folders(images: Collection[Parts], level: int = 0) -> list[str]:
    """Return the folders below the outermost ones if these all hold the same, at least two: classes, perhaps."""
    common = list(_list_folders(images, level).values())
    alike = len(common) > 1 and len(common[0]) > 1 and all(folders == common[0] for folders in common)
    return sorted(common[0]) if alike else []


def _refuse_hidden_splits(
    path: Path, images: Collection[Parts], inner: Mapping[str, set[str]], has_splits: bool
) -> None:
    """Raise DataError if the outermost folders are no classes: splits of other names, or sets that hold splits."""
    tops = ", ".join(f"{name}/" for name in sorted(inner))
    classes = find_common_folders(images, 1 if has_splits else 0)
    if classes and (has_splits or any(map(_sounds_like_split, inner))):
        raise DataError(
            f"{path} has {tops}, which all hold {', '.join(classes[:3])}: these seem to be the classes. {LAYOUT}."
        )
    only_splits = all(names and all(map(is_split, names)) for names in inner.values())
    if not has_splits and len(inner) > 1 and only_splits:
        held = ", ".join(f"{name}/" for name in sorted(set.union(*inner.values())))
        raise DataError(f"{path} has {tops}, which hold {held}: splits, but not to train and to test. {LAYOUT}.")


def _sounds_like_split(folder: str) -> bool:
    """Return whether a word of a folder's name begins or ends as that of a split, or is nearly one."""
    words = [word.lower() for word in _WORD.findall(folder)]
    return any(
        word.startswith(("train", "test", "valid"))
        or word.endswith(("train", "test", "val", "holdout", "unseen"))
        or get_close_matches(word, ("training", "testing", "validation"), cutoff=0.85)
        for word in words
    )


def _pair(path: Path, names: Collection[str], *, whole: bool = True) -> dict[str, str] | None:
    """Return the splits that folders mean, by name, if one of them trains and one tests; else None.

    Their other words must be the same: `seg_train` and `seg_test`, but not `train_station` and `test_tube`. Raises
    DataError if the folders are splits only (`whole`), and training or test images are missing, or several are
    numbered.
    """
    found = {name: meaning for name in names if (meaning := find_split(name))}
    for others in sorted({others for _, others in found.values()}):
        splits = {name: split for name, (split, words) in found.items() if words == others}
        if {"train", "test"} <= set(splits.values()):
            _refuse_twins(path, splits)
            return splits
    meant = {split for split, _ in found.values()}
    if not whole or len(found) < len(names) or not names:
        return None
    listed = ", ".join(f"{name}/" for name in sorted(names))
    numbered = all(is_number(word) for _, others in found.values() for word in others)
    if {"train", "test"} <= meant and numbered:
        raise DataError(f"{path} has {listed}: it cannot be told which belong together. {LAYOUT}.")
    if all(others == () for _, others in found.values()):
        missing = " and ".join(f"{split}/" for split in ("train", "test") if split not in meant)
        unused = [name for name, (split, _) in found.items() if split == "validation"]
        remedy = f"To test on {unused[0]}/, rename it to test/. " if unused and missing == "test/" else ""
        raise DataError(f"{path} has {listed}, but no images in {missing}. {remedy}{LAYOUT}.")
    return None


def _refuse_twins(path: Path, splits: Mapping[str, str]) -> None:
    """Raise DataError if two folders mean the same split: they might hold the same images."""
    first: dict[str, str] = {}
    for name, split in sorted(splits.items()):
        if split in first:
            raise DataError(
                f"{path} has {first[split]}/ and {name}/, which mean the same. Keep one, or join them."
            )
        first[split] = name


def _unwrapping(rewrite: Rewrite, images: Iterable[Parts], folders: Iterable[Parts]) -> Rewrite:
    """Return `rewrite`, followed by leaving out the folders that hold all images of a split."""
    of_split: dict[str, list[Parts]] = {}
    for parts in map(rewrite, images):
        of_split.setdefault(parts[0], []).append(parts[1:])
    below: dict[str, list[Parts]] = {}
    for parts in map(rewrite, folders):
        below.setdefault(parts[0], []).append(parts[1:])
    depth = {split: count_wrappers(paths, below.get(split, [])) for split, paths in of_split.items()}

    def shorter(parts: Parts) -> Parts:
        top, *rest = rewrite(parts)
        return (top, *rest[depth.get(top, 0) :])

    return shorter


def count_wrappers(images: Collection[Parts], folders: Collection[Parts], *, keep_splits: bool = False) -> int:
    """Return how many folders hold everything, as `flowers17/` in `flowers17/01_daffodil/image_0001.jpg`.

    A folder next to another of the `folders`, even an empty one, is a class, not a wrapper. With `keep_splits`
    `train/` is none either: alone, its `test/` is missing.
    """
    depth, most = 0, min(map(len, images)) - 2
    while depth < most and len(tops := {parts[depth] for parts in images}) == 1:
        top = tops.pop()
        siblings = {parts[depth] for parts in folders if len(parts) == depth + 1} - {top}
        if siblings or (keep_splits and is_split(top)):
            break
        depth += 1
    return depth
