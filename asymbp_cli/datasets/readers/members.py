"""Assign the files of a tree to classes and splits."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.datasets.readers.base import Image, OpenDataset, Pixels, SplitName
from asymbp_cli.datasets.readers.picture import decode
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.datasets.splits import permutation
from asymbp_cli.errors import DataError
from asymbp_cli.text import count

Members = dict[SplitName, list[tuple[str, str]]]  # split -> (class, name in the tree), in the split's order


def open_members(
    tree: Tree, members: Members, *, classes: Sequence[str] = (), note: str = "", upright: bool = False
) -> OpenDataset:
    """Return the images of a tree; classes are numbered in the order given, else by name.

    With `upright` pictures are turned by their EXIF orientation. Images in neither split are unused.
    """
    names = tuple(classes) or tuple(sorted({label for label, _ in members["train"]}))
    for split, pairs in members.items():
        for label, name in pairs:
            if label not in names:
                raise DataError(
                    f'{tree.path}: class "{label}" has {split} images, but none to train, such as {name}'
                )
    _check_once(tree, members)
    number = {name: i for i, name in enumerate(names)}
    labels = {
        split: np.array([number[label] for label, _ in pairs], dtype=np.int64) for split, pairs in members.items()
    }
    place: dict[str, tuple[SplitName, int]] = {
        name: (split, i) for split, pairs in members.items() for i, (_, name) in enumerate(pairs)
    }

    def read(selected: set[str], channels: int) -> Iterator[tuple[str, Pixels]]:
        for name, content in tree.read(selected):
            try:
                yield name, decode(content, channels, f"{tree.path}:{name}", upright=upright)
            except DataError as error:
                yield name, error

    def images(channels: int) -> Iterator[Image]:
        for name, image in read(set(place), channels):
            yield *place[name], image

    def unused(channels: int) -> Iterator[Pixels]:
        for _, image in read(set(tree.images()) - set(place), channels):
            yield image

    return OpenDataset(names, labels["train"], labels["test"], images, note, unused)


def _check_once(tree: Tree, members: Members) -> None:
    seen: dict[str, SplitName] = {}
    for split, pairs in members.items():
        for _, name in pairs:
            if name in seen:
                how = "twice" if seen[name] == split else "to train and to test"
                raise DataError(f"{tree.path}: {name} is listed {how}. Copy it again.")
            seen[name] = split


def draw_members(entry: CatalogEntry, by_class: Mapping[str, Sequence[str]], origin: object) -> Members:
    """Return the classes and images that the entry's draw takes, each from a named stream of seed 0.

    Classes: the first of `permutation(eligible, 0, key, "classes")`, of the eligible ones sorted by name. Images
    of a class: `permutation(images, 0, key, "images", class)` of them sorted by name, the first to train, the next
    to test. Raises DataError if classes or images are missing or too many.
    """
    draw = entry.draw
    assert draw is not None
    if len(by_class) != draw.of:
        raise DataError(
            f"{origin} holds {count(len(by_class), 'class', 'classes')}, not the {draw.of} of "
            f"{entry.label}{_odd(by_class)}. If it is another set, rename it; else get it again."
        )
    total = sum(map(len, by_class.values()))
    if draw.images is not None and total != draw.images:
        raise DataError(
            f"{origin} holds {count(total, 'image')}, not the {draw.images:,} of {entry.label}. Check that the "
            "copy is complete and nothing was added."
        )
    eligible = sorted(label for label, names in by_class.items() if draw.is_eligible(len(names)))
    if len(eligible) < draw.classes:
        least = draw.train + (draw.fewest_test or draw.test)
        short = min(by_class, key=lambda label: (len(by_class[label]), label))
        raise DataError(
            f"{origin}: {len(eligible)} of the {draw.classes} classes that are needed have at least {least} "
            f"images; {short} has {len(by_class[short])}"
        )
    order = permutation(len(eligible), 0, entry.key, "classes")[: draw.classes]
    members: Members = {"train": [], "test": []}
    for label in sorted(eligible[i] for i in order):
        names = sorted(by_class[label])
        shuffled = [names[i] for i in permutation(len(names), 0, entry.key, "images", label)]
        members["train"] += [(label, name) for name in sorted(shuffled[: draw.train])]
        members["test"] += [(label, name) for name in sorted(shuffled[draw.train : draw.train + draw.test])]
    return members


def _odd(by_class: Mapping[str, Sequence[str]]) -> str:
    """Name the classes with the fewest images, among which a wrong folder is likely."""
    few = sorted(by_class, key=lambda label: (len(by_class[label]), label))[:3]
    return f" (those with the fewest images: {', '.join(few)})" if few else ""
