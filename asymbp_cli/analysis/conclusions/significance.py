"""Rank statistics over datasets: few numbers, no assumption about their size."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from asymbp_cli.analysis.agreement import rank_correlation

#: Statistics over datasets need 6 of them: with fewer, no two-sided signed-rank test can get below 0.05.
ENOUGH_DATASETS = 6


def signed_rank_p(differences: Sequence[float]) -> float | None:
    """Return p of the two-sided Wilcoxon signed-rank test, or None if there are too few datasets for it.

    It is exact: it counts all ways to give the ranks signs. scipy approximates, or is slow, if differences are
    tied, as those of rounded errors may be. Equal pairs are left out; ties share their ranks.
    """
    if len(differences) < ENOUGH_DATASETS:
        return None
    sizes = [abs(points) for points in differences if points]
    ordered = sorted(sizes)
    # twice the mean rank of equal sizes, so that halves are whole
    ranks = [bisect_left(ordered, size) + bisect_right(ordered, size) + 1 for size in sizes]
    ways = [1]  # ways[w]: choices of signs for which the positive ranks add up to w
    for rank in ranks:
        ways = [a + b for a, b in zip(ways + [0] * rank, [0] * rank + ways, strict=True)]
    positive = sum(rank for rank, points in zip(ranks, filter(None, differences), strict=True) if points > 0)
    tail = min(sum(ways[: positive + 1]), sum(ways[positive:]))
    return min(1.0, 2 * tail / sum(ways))


def correlate_ranks(sizes: Sequence[float], gains: Sequence[float]) -> tuple[float, float]:
    """Return Spearman's rho and its one-sided p of being negative; 0 and 1 if all sizes or all gains are equal.

    p comes from Student's t, an approximation that is usual from about ten pairs on.
    """
    rho = rank_correlation(sizes, gains)
    if rho is None:
        return 0.0, 1.0
    if abs(rho) == 1:  # without ties, one order of all n! has this rho
        return rho, 1 / math.factorial(len(sizes)) if rho < 0 else 1.0
    from scipy.special import stdtr  # imported here, and not scipy.stats: a report must start fast

    freedom = len(sizes) - 2
    return rho, float(stdtr(freedom, rho * math.sqrt(freedom / (1 - rho**2))))


def format_p(p: float | None, name: str = "uncorrected Wilcoxon p") -> str:
    """Return a p value in brackets, or nothing without one."""
    if p is None:
        return ""
    return f" ({name} < 0.001)" if p < 0.001 else f" ({name} = {p:.2g})"
