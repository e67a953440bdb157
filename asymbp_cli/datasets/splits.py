"""Seeded splits, class by class. Each class draws from its own stream, so that adding one changes no other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asymbp_cli.errors import DataError
from asymbp_cli.text import digest_words, list_some

Labels = NDArray[np.int64]


def permutation(count: int, *key: object) -> NDArray[np.int64]:
    """Return a shuffle of range(count) fixed by `key`."""
    return np.random.default_rng(int.from_bytes(digest_words(*key)[:16], "little")).permutation(count)


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Return integers that add up to `total` in proportion to `weights` (largest remainder)."""
    ideal = [total * weight / sum(weights) for weight in weights]
    counts = [int(value) for value in ideal]
    by_remainder = sorted(range(len(weights)), key=lambda i: counts[i] - ideal[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts


def split_digits(labels: Labels) -> tuple[Labels, Labels]:
    """Return (train, test) indices of scikit-learn's digits: 1437 and 360, stratified, seed 0, ascending.

    The 360 are shared among the classes by largest remainder. Digit d's share is the first of its members, in the
    order of the dataset, shuffled by `permutation(count, 0, "digits", d)`. The dataset has no official split and
    names no writers, so that a split by writer is impossible.
    """
    counts = [int((labels == c).sum()) for c in range(10)]
    test: list[Any] = []
    for digit, share in enumerate(apportion(360, counts)):
        members = np.flatnonzero(labels == digit)
        test.append(members[permutation(len(members), 0, "digits", digit)[:share]])
    chosen = np.sort(np.concatenate(test))
    return np.setdiff1d(np.arange(len(labels)), chosen), chosen


def count_held_out(name: str, labels: Labels, classes: Sequence[str], fraction: float) -> int:
    """Return how many training samples of the dataset of that name are held out. Raises as `check_held_out`."""
    check_held_out(name, labels, classes)
    return sum(_share(int(count), fraction) for count in np.unique(labels, return_counts=True)[1])


def _share(count: int, fraction: float) -> int:
    """Return how many of the samples of a class are held out: at least one, never all."""
    return min(max(round(fraction * count), 1), count - 1)


def check_held_out(name: str, labels: Labels, classes: Sequence[str]) -> None:
    """Raise DataError if a class of the dataset of that name has too few training samples to hold one out."""
    numbers, counts = np.unique(labels, return_counts=True)
    small = [f'"{classes[number]}"' for number in numbers[counts < 2]]
    if small:
        which = f"class {small[0]} has" if len(small) == 1 else f"classes {list_some(small)} have"
        raise DataError(
            f"{name}: {which} 1 training sample, and holding out needs two of each class. Add samples, or hold "
            "nothing out: --rule paper, or validation_fraction: 0"
        )


def hold_out(labels: Labels, fraction: float, seed: int, classes: Sequence[str] | None = None) -> Labels:
    """Return the ascending indices to hold out: `fraction` of each class, at least one, never all.

    A class draws by its name in `classes`, or by its number. Of a class with only one sample none is held out.
    """
    held_out = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        name = classes[label] if classes else str(label)
        share = _share(len(members), fraction)
        held_out.append(members[permutation(len(members), seed, "validation", name)[:share]])
    return np.sort(np.concatenate(held_out))
