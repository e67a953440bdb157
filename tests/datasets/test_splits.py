import numpy as np
import pytest
from sklearn.datasets import load_digits

from asymbp_cli.datasets.splits import (
    apportion,
    check_held_out,
    count_held_out,
    hold_out,
    permutation,
    split_digits,
)
from asymbp_cli.errors import DataError


def test_permutations_are_pinned() -> None:
    assert permutation(8, 0, "split", "cat").tolist() == [5, 6, 4, 0, 7, 2, 3, 1]
    assert permutation(8, 1, "split", "cat").tolist() == [1, 4, 0, 2, 5, 3, 7, 6]
    assert permutation(8, 0, "validation", "cat").tolist() == [4, 0, 5, 3, 7, 1, 6, 2]


def test_apportion_uses_the_largest_remainders() -> None:
    assert apportion(10, [1, 1, 1]) == [4, 3, 3]
    assert apportion(7, [50, 30, 20]) == [4, 2, 1]  # ideal: 3.5, 2.1, 1.4
    assert sum(apportion(360, list(range(170, 180)))) == 360


def test_the_split_digits() -> None:
    labels = load_digits().target.astype(np.int64)
    train, test = split_digits(labels)
    assert (len(train), len(test)) == (1437, 360)
    assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(1797))
    assert np.array_equal(np.sort(test), test)
    assert np.bincount(labels[test]).tolist() == [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]
    assert test[:8].tolist() == [2, 4, 7, 8, 16, 27, 39, 50]


def test_validation_is_stratified_and_seeded() -> None:
    labels = np.array([0] * 30 + [1] * 10 + [2] * 2, dtype=np.int64)
    held_out = hold_out(labels, 0.1, 0)
    assert np.bincount(labels[held_out]).tolist() == [3, 1, 1]  # 10 % of 2 is none, but one it must be
    assert np.array_equal(held_out, np.unique(held_out))
    assert np.array_equal(held_out, hold_out(labels, 0.1, 0))
    assert not np.array_equal(held_out, hold_out(labels, 0.1, 1))


def test_validation_never_takes_a_whole_class() -> None:
    labels = np.array([0, 0, 1, 1, 1], dtype=np.int64)
    assert np.bincount(labels[hold_out(labels, 0.99, 0)]).tolist() == [1, 2]


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.2, 0.5, 0.99])
def test_what_is_held_out_is_counted_without_drawing(fraction: float) -> None:
    labels = np.repeat(np.arange(5), [2, 3, 24, 25, 1000])
    counted = count_held_out("zoo", labels, list("abcde"), fraction)
    assert counted == len(hold_out(labels, fraction, seed=7))
    with pytest.raises(DataError, match="holding out needs two of each class"):
        count_held_out("zoo", labels[1:], list("abcde"), fraction)


def test_classes_that_are_too_small_to_hold_out_are_named() -> None:
    labels = np.array([0, 0, 1, 2, 3, 3, 3, 4, 5], dtype=np.int64)
    names = ["ant", "bee", "cat", "dog", "eel", "fox"]
    check_held_out("zoo", np.repeat(labels, 2), names)
    with pytest.raises(DataError, match=r'^zoo: class "bee" has 1 training sample, .* --rule paper, or valid'):
        check_held_out("zoo", labels[:3], names)
    with pytest.raises(DataError, match=r'^zoo: classes "bee", "cat", "eel" and 1 more have 1 training sample,'):
        check_held_out("zoo", labels, names)


def test_a_new_class_moves_no_other() -> None:
    before = hold_out(np.repeat([0, 1], 20), 0.3, 0, ["bee", "cat"])
    after = hold_out(np.repeat([0, 1, 2], 20), 0.3, 0, ["ant", "bee", "cat"])
    assert np.array_equal(after[after >= 20] - 20, before)
