"""The statistics of the conclusions, against those of scipy, and the thresholds that decide."""

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from judged_numbers import PAPER, judged
from scipy.stats import pearsonr, rankdata, spearmanr, t, wilcoxon

from asymbp_cli.analysis.conclusions import (
    Numbers,
    judge,
    significance,
)
from asymbp_cli.analysis.conclusions import parts as kinds
from asymbp_cli.analysis.conclusions.grading import required_count


def test_statistics_begin_at_six_datasets() -> None:
    for n, shown in ((5, False), (6, True)):
        text = " ".join(
            s for judgement in judge(PAPER.restrict_to(*PAPER.datasets[:n])) for s in judgement.evidence
        )
        assert ("Wilcoxon" in text, "Spearman" in text) == (shown, shown)


def test_three_points_are_three_points() -> None:
    """0.67 + 3 is not exactly 3.67 in binary; what the tables colour, the checks count."""
    feedback = ("uSF+BN+BM", "brSF+BN+BM", "frSF+BN+BM")
    untold = "cannot be told at this size of error"
    for base, below in ((0.67, untold), (2.99, untold), (3.0, "supported"), (20.67, "supported")):
        errors = {("MNIST", name): base for name in (*feedback, "SGD")}
        for points, verdict in ((2.99, below), (3.0, "not supported")):
            changed = {("MNIST", name): base + points for name in feedback}
            numbers = Numbers(errors | changed, frozenset(), {})
            assert judged("magnitudes-of-feedback", numbers).verdict == verdict
            one = {("MNIST", "brSF+BN+BM"): base + points}
            found = judged("magnitudes-of-feedback", Numbers(errors | one, frozenset(), {}))
            assert (": no, " in found.evidence[0]) == (verdict == "not supported")


def test_two_of_three_datasets_are_most_and_one_of_three_is_often() -> None:
    assert [required_count(kinds.MOST, count) for count in (1, 2, 3, 6, 15)] == [1, 2, 2, 4, 10]
    assert [required_count(kinds.OFTEN, count) for count in (6, 7, 15)] == [2, 3, 5]


def test_methods_that_differ_in_no_direction_are_not_alike() -> None:
    """On six datasets: A and B swap places by 5 points on four; or B is worse on three."""
    part = kinds.alike("A", "B")
    sets = "abcdef"

    def outcome(*points: float) -> str:
        errors = {(at, "A"): 50.0 for at in sets} | {(at, "B"): 50 + p for at, p in zip(sets, points, strict=True)}
        return part.evaluate(Numbers(errors, frozenset(), {}), tuple(sets)).outcome

    assert outcome(2, 2, 2, 2, 5, 5) == "yes"
    assert outcome(5, 5, -5, -5, 0, 0) == "no consistent direction"
    assert outcome(5, 5, 5, 0, 0, 0) == outcome(-5, -5, -5, 0, 0, 0) == "no"


@pytest.mark.parametrize("equal", ["sizes", "gains"])
def test_equal_numbers_have_no_rank(equal: str) -> None:
    """No correlation, and no warning of scipy's, which the suite would turn into an error."""
    sets = "abcdefg"
    gains = dict.fromkeys(sets, 0.0) if equal == "gains" else {at: float(i) for i, at in enumerate(sets)}
    sizes = dict.fromkeys(sets, 10) if equal == "sizes" else {at: i for i, at in enumerate(sets)}
    errors = {(at, name): 50.0 - gains[at] * (name == "BN+BM") for at in sets for name in ("SGD", "BN", "BN+BM")}
    found = judged("small-training-sets", Numbers(errors, frozenset(), {}, sizes))
    assert found.verdict == "not supported"
    assert "rho of gain and training-set size is +0.00 (uncorrected one-sided p = 1)" in found.evidence[2]
    if equal == "gains":
        assert "(uncorrected Wilcoxon p = 1)" in found.evidence[0]


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(-20, 20)), min_size=6, max_size=15))
def test_the_rank_correlation_is_that_of_scipy(pairs: list[tuple[int, float]]) -> None:
    sizes, gains = (list(side) for side in zip(*pairs, strict=True))
    assume(len(set(sizes)) > 1 and len(set(gains)) > 1)
    expected = spearmanr(sizes, gains, alternative="less")
    rho, p = significance.correlate_ranks(sizes, gains)
    assert rho == pytest.approx(expected.statistic, abs=1e-7)
    if abs(rho) < 1:  # there Student's t says 0
        assert p == pytest.approx(expected.pvalue, abs=1e-7)


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(-20, 20), st.integers(0, 9)), min_size=6, max_size=15))
def test_the_partial_correlation_is_that_of_what_difficulty_leaves(triples: list[tuple[int, float, int]]) -> None:
    """Against residuals: ranks of sizes and gains, each without its least-squares line on those of difficulty."""
    ranks = [rankdata(side) for side in zip(*triples, strict=True)]
    assume(all(len(set(side)) > 1 for side in ranks))
    assume(max(abs(pearsonr(side, ranks[2]).statistic) for side in ranks[:2]) < 0.99)
    sizes, gains = (side - np.polyval(np.polyfit(ranks[2], side, 1), ranks[2]) for side in ranks[:2])
    expected = pearsonr(sizes, gains).statistic
    partial, p = significance.correlate_ranks_given(*zip(*triples, strict=True))
    assert partial == pytest.approx(expected, abs=1e-6)
    if abs(partial) < 0.99:
        freedom = len(triples) - 3
        assert p == pytest.approx(t.cdf(partial * (freedom / (1 - partial**2)) ** 0.5, freedom), abs=1e-6)


def test_sizes_that_difficulty_orders_fully_tell_nothing() -> None:
    sizes, gains = [1, 2, 3, 4, 5, 6], [6, 4, 5, 2, 3, 1]
    assert significance.correlate_ranks_given(sizes, gains, sizes[::-1]) == (0, 1)


def test_a_perfect_order_of_six_is_one_of_720() -> None:
    assert significance.correlate_ranks([1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]) == (-1, 1 / 720)
    assert significance.correlate_ranks([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]) == (1, 1)


def test_the_signed_rank_test_counts_every_choice_of_signs() -> None:
    """Against scipy where that is exact too, and against the 2^n sums themselves where ranks are tied."""
    untied = [0.3, -1.1, 2.0, 2.5, -0.1, 4.0, 1.7]
    assert significance.signed_rank_p(untied) == pytest.approx(wilcoxon(untied, method="exact").pvalue)
    ranks = [2.5, 2.5, 2.5, 2.5, 5, 6]  # of 1, 1, -1, 1, -2, 3; the zero is left out
    sums = [sum(r for r, up in zip(ranks, ups, strict=True) if up) for ups in product((0, 1), repeat=6)]
    upper = sum(total >= 13.5 for total in sums) / len(sums)
    assert significance.signed_rank_p([1, 0, 1, -1, 1, -2, 3]) == pytest.approx(2 * upper)
    assert significance.signed_rank_p([1, 2, 3, 4, 5, 6]) == 2 / 2**6
    assert significance.signed_rank_p([-1, -2, -3, -4, -5, -6]) == 2 / 2**6
    assert significance.signed_rank_p([1, 2, 3, 4, 5]) is None
