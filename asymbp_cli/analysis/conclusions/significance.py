"""Rank statistics over datasets: few numbers, no assumption about their size."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from asymbp_cli.analysis.agreement import rank_correlation

#: Statistics over datasets need 6 of them: with fewer, no two-sided signed-rank test can get below 0.05.
ENOUGH_DATASETS = 6
_ROUNDING = 1e-9


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
    return rho, _lower_tail(rho, len(sizes) - 2)


def correlate_ranks_given(
    sizes: Sequence[float], gains: Sequence[float], held: Sequence[float]
) -> tuple[float, float]:
    """Return the partial rank correlation of sizes and gains with `held` constant, and its one-sided p.

    0 and 1 if all sizes or all gains are equal, or if `held` orders either of them fully: then nothing is left to
    tell them apart by.
    """
    rho = rank_correlation(sizes, gains)
    with_sizes, with_gains = (rank_correlation(side, held) or 0.0 for side in (sizes, gains))
    left = (1 - with_sizes**2) * (1 - with_gains**2)
    if rho is None or left < _ROUNDING:
        return 0.0, 1.0
    partial = max(-1.0, min(1.0, (rho - with_sizes * with_gains) / math.sqrt(left)))
    return partial, _lower_tail(partial, len(sizes) - 3)


def _lower_tail(rho: float, freedom: int) -> float:
    """Return the probability of so low a correlation or a lower one, by Student's t."""
    if 1 - rho**2 < _ROUNDING:
        return 0.0 if rho < 0 else 1.0
    from scipy.special import stdtr  # imported here, and not scipy.stats: a report must start fast

    return float(stdtr(freedom, rho * math.sqrt(freedom / (1 - rho**2))))


def format_p(p: float | None, name: str = "uncorrected Wilcoxon p") -> str:
    """Return a p value in brackets, or nothing without one."""
    if p is None:
        return ""
    return f" ({name} < 0.001)" if p < 0.001 else f" ({name} = {p:.2g})"
