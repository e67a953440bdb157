"""Standard errors and paired differences, against scipy and against draws."""

import random
from math import sqrt
from statistics import stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, ttest_rel

from asymbp_cli.analysis.uncertainty import compare_errors, samples_of, standard_error


@given(st.integers(2, 30000), st.data())
def test_a_standard_error_is_that_of_the_binomial_distribution(seen: int, data: st.DataObject) -> None:
    wrong = data.draw(st.integers(1, seen - 1))
    expected = 100 * binom.std(seen, wrong / seen) / seen
    assert standard_error(100 * wrong / seen, seen) == pytest.approx(expected)


def test_no_error_is_not_certain() -> None:
    assert standard_error(0, 360) == standard_error(100 / 360, 360) > 0.27
    assert standard_error(100, 360) == pytest.approx(standard_error(0, 360))


def test_three_points_of_360_images_are_eleven() -> None:
    assert [samples_of(3, seen) for seen in (360, 10000, 100, 340)] == [11, 300, 3, 11]


def test_one_seed_has_the_error_of_two_independent_test_errors() -> None:
    found = compare_errors({0: 5.0}, {0: 2.0}, 360)
    assert found is not None
    assert found.standard_error == pytest.approx(100 * sqrt((0.05 * 0.95 + 0.02 * 0.98) / 360))
    assert (found.points, found.seed_error, found.seeds, found.interval(1)) == (3.0, None, 1, None)
    assert found.is_sure == (2 * found.standard_error <= 3.0)


def test_two_standard_errors_are_enough_and_less_is_not() -> None:
    """6 points on 340 images at 35 %: a standard error of 3.7."""
    few, many = (compare_errors({0: 41.0}, {0: 35.0}, seen) for seen in (340, 3400))
    assert few is not None
    assert many is not None
    assert (few.is_sure, many.is_sure) == (False, True)


def test_seeds_are_paired() -> None:
    """Against the paired t-test of scipy: its standard error, and its interval for one comparison."""
    ours, baseline = [2.0, 3.1, 2.4, 4.0, 2.2], [1.0, 2.5, 1.2, 3.3, 1.0]
    found = compare_errors(dict(enumerate(ours)), dict(enumerate(baseline)), 10000)
    assert found is not None
    expected = ttest_rel(ours, baseline)
    assert found.seed_error is not None
    assert found.points / found.seed_error == pytest.approx(expected.statistic)
    assert found.interval(1) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.interval(10) == pytest.approx(tuple(expected.confidence_interval(1 - 0.05 / 10)))
    assert found.seed_error < stdev(ours) / sqrt(5)  # what pairing gains: seeds that are hard for both
    assert found.standard_error > max(found.seed_error, found.test_error)


def test_fewer_than_five_seeds_have_no_interval() -> None:
    """With two, Student's t makes it +-450 points wide for ten columns; the standard error stays."""
    errors = {seed: 1.0 + seed for seed in range(5)}
    found = [compare_errors(dict(list(errors.items())[:n]), dict.fromkeys(errors, 1.0), 100) for n in (2, 4, 5)]
    assert [difference and difference.interval(10) is not None for difference in found] == [False, False, True]
    assert all(difference and difference.seed_error for difference in found)


def test_only_common_seeds_count() -> None:
    found = compare_errors({0: 1.0, 1: 2.0, 7: 90.0}, {1: 1.5, 0: 1.0}, 100)
    assert found is not None
    assert (found.points, found.seeds) == (0.25, 2)
    assert compare_errors({0: 1.0}, {1: 1.0}, 100) is None


def test_intervals_for_many_comparisons_hold_together() -> None:
    """Of 400 made-up studies of ten equal methods and five seeds, about 95 % show no difference."""
    draw = random.Random(5)
    clean = 0
    for _ in range(400):
        baseline = {seed: draw.gauss(10, 1) for seed in range(5)}
        found = [
            compare_errors({seed: error + draw.gauss(0, 1) for seed, error in baseline.items()}, baseline, 1000)
            for _ in range(10)
        ]
        intervals = [difference.interval(10) for difference in found if difference]
        clean += all(interval and interval[0] <= 0 <= interval[1] for interval in intervals)
    assert 0.91 < clean / 400 < 0.99
