"""The kinds of statement that conclusions are made of, each a small function of method names.

The authors give no test; their one yardstick is 3 points of error (`tables.colour`). So a statement holds or
fails on every dataset by itself: one dataset is enough to ask it, and with several the exceptions have names.
The thresholds here are ours. P values stand beside the counts and decide nothing, except about training-set
sizes: they shrink with every dataset, know no size of a difference, and cannot show that methods are alike.
A dead network, which answers everything with one class, is never "like" another or better: or a study in which
nothing learns would support every claim of likeness.
"""

import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from statistics import median
from typing import Literal

from asymbp_cli.analysis.agreement import rank_correlation
from asymbp_cli.analysis.conclusions.numbers import Numbers
from asymbp_cli.analysis.tables import POINTS, Colour, colour

#: A part holds if it does on two datasets of three: twice as many for it as against it.
MOST = 2 / 3
#: What is not absent from most datasets is there "often".
OFTEN = 1 / 3
#: A network "hardly learns" within this part of the way from guessing to the error of the reference method.
HARDLY = 1 / 4
#: Statistics over datasets begin at 6: with fewer, no two-sided signed-rank test can get below 0.05.
ENOUGH_DATASETS = 6
#: Level of the one-sided test on training-set sizes, the one statement about all datasets at once.
LEVEL = 0.05
#: Where a network is more than so many points better than a guess, it is not "close to chance".
FAR_BELOW_CHANCE = 20

PERCENTAGES = (0, 25, 50, 75, 100)  # of opposite signs; Table 3

_FACTS = {"chance": "the error of a guess", "train_counts": "the size of the training set"}


@dataclass(frozen=True)
class Finding:
    """On which share of the datasets a part holds, in words, and the numbers behind it."""

    share: float
    where: str
    detail: str = ""


@dataclass(frozen=True)
class Part:
    """A statement that holds if it does on a share `enough` of the datasets.

    It is asked of the datasets that have every method of `needs` and the fact `beside`, if they are `least`.
    Without `claimed` it is a remark, which shows where the authors' words go beyond their numbers.
    """

    says: str
    needs: tuple[str, ...]
    find: Callable[[Numbers, Sequence[str]], Finding]
    enough: float = MOST
    least: int = 1
    beside: Literal["chance", "train_counts"] | None = None
    claimed: bool = True

    def lacks(self, numbers: Numbers, dataset: str) -> list[str]:
        """Return what must be known of the dataset, and is not."""
        lacking = [method for method in self.needs if (dataset, method) not in numbers.errors]
        if self.beside and dataset not in getattr(numbers, self.beside):
            lacking.append(_FACTS[self.beside])
        return lacking


def no_worse(method: str, than: str) -> Part:
    """Alive, and not worse by 3 points or more."""
    return _pair(f"{method} is like {than} or better", method, than, (None, "better"))


def worse(method: str, than: str) -> Part:
    """Worse by 3 points or more."""
    return _pair(f"{method} is worse than {than} by {POINTS:g} points or more", method, than, ("worse",))


def better(method: str, than: str) -> Part:
    """Better by 3 points or more."""
    return _pair(f"{method} is better than {than} by {POINTS:g} points or more", method, than, ("better",))


def often_better(method: str, than: str) -> Part:
    """Better by 3 points or more on a third of the datasets; means nothing for a few."""
    says = f"{method} is often better than {than} by {POINTS:g} points or more"
    return _pair(says, method, than, ("better",), OFTEN, ENOUGH_DATASETS)


def alike(*methods: str) -> Part:
    """All alive, and of no two methods is one worse by 3 points or more on over a third of the datasets.

    Two one-sided statements make an equivalence: datasets may differ, but may not lean to a side.
    """

    def find(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        pairs = [numbers.differences(*pair, datasets) for pair in permutations(methods, 2)]
        living = [not any((at, method) in numbers.one_class for method in methods) for at in datasets]
        close = [[lives and points < POINTS for lives, points in zip(living, pair, strict=True)] for pair in pairs]
        within = _on(
            [at for at, sides in zip(datasets, zip(*close, strict=True), strict=True) if all(sides)], datasets
        )
        if len(datasets) == 1:
            return Finding(within.share, within.where, f"at most {max(pairs)[0]:.2f} points apart")
        held = min(map(sum, close))
        smallest = min((p for pair in pairs if (p := _p_value(pair)) is not None), default=None)
        return Finding(
            held / len(datasets),
            f"{held} of {len(datasets)} datasets for the least alike pair",
            f"all within {POINTS:g} points on {within.where}, medians of the pairs up to "
            f"{max(map(median, pairs)):.2f} points apart{_p_text(smallest, 'smallest Wilcoxon p')}",
        )

    return Part(f"{', '.join(methods)} are alike", methods, find)


def dead(method: str) -> Part:
    """It answers every test sample with one class."""

    def find(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        return _on([at for at in datasets if (at, method) in numbers.one_class], datasets)

    return Part(f"{method} answers every sample with one class", (method,), find)


def alive(method: str) -> Part:
    """It answers them with more than one class."""

    def find(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        return _on([at for at in datasets if (at, method) not in numbers.one_class], datasets)

    return Part(f"{method} answers with more than one class", (method,), find)


def hardly_learns(method: str, reference: str, *, claimed: bool = True) -> Part:
    """It goes less than a quarter of the way from guessing to the error of the reference method."""

    def find(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        learned = [round(numbers.chance[at] - numbers.errors[at, method], 6) for at in datasets]
        way = [numbers.chance[at] - numbers.errors[at, reference] for at in datasets]
        held = [at for at, x, y in zip(datasets, learned, way, strict=True) if x < HARDLY * y]
        far = sum(points > FAR_BELOW_CHANCE for points in learned)
        detail = f"{_span(learned)} points below a guess, over {FAR_BELOW_CHANCE} on {far} of {len(datasets)}"
        return _on(held, datasets, detail)

    says = f"{method} hardly learns: it goes less than {HARDLY:.0%} of the way from guessing to {reference}"
    return Part(says, (method, reference), find, beside="chance", claimed=claimed)


def signs_matter(scheme: str) -> Part:
    """The lowest error from 50 % opposite signs on lies 3 points or more above the higher of 0 and 25 %."""
    methods = tuple(_with_opposite(scheme, percentage) for percentage in PERCENTAGES)

    def find(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        errors = [[numbers.errors[at, method] for method in methods] for at in datasets]
        gaps = [round(min(row[2:]) - max(row[:2]), 6) for row in errors]
        held = [at for at, gap in zip(datasets, gaps, strict=True) if gap >= POINTS]
        return _on(held, datasets, f"the gap is {_span(gaps)} points{_p_text(_p_value(gaps))}")

    says = f"{scheme} errs less at 0 and 25 % opposite signs than at 50 to 100 %, by {POINTS:g} points or more"
    return Part(says, methods, find)


def every_sign_matters(scheme: str) -> Part:
    """The remark on the abstract's words, the more concordant signs the better: the error rises at every step."""
    methods = tuple(_with_opposite(scheme, percentage) for percentage in PERCENTAGES)

    def find(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        steps = [numbers.differences(more, fewer, datasets) for fewer, more in pairwise(methods)]
        held = [at for at, rises in zip(datasets, zip(*steps, strict=True), strict=True) if min(rises) > 0]
        rising = (
            f"{fewer} to {more} % on {sum(points > 0 for points in step)}"
            for (fewer, more), step in zip(pairwise(PERCENTAGES), steps, strict=True)
        )
        return _on(held, datasets, f"the error rises from {', '.join(rising)} of {len(datasets)}")

    return Part(f"{scheme} errs more at every step to more opposite signs", methods, find, claimed=False)


def most_on_small_sets(method: str, than: str, *, claimed: bool = True) -> Part:
    """The gain falls with the size of the training set: Spearman's rho is negative, one-sided p below 0.05."""

    def find(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        gains = numbers.differences(than, method, datasets)
        rho, p = _rank_correlation([numbers.train_counts[at] for at in datasets], gains)
        detail = f"Spearman's rho of gain and training-set size is {rho:+.2f}{_p_text(p, 'one-sided p')}"
        return Finding(float(p < LEVEL), f"{len(datasets)} datasets", detail)

    says = f"the smaller the training set, the more {method} gains on {than}"
    return Part(says, (method, than), find, least=ENOUGH_DATASETS, beside="train_counts", claimed=claimed)


def _pair(
    says: str, method: str, than: str, wanted: Container[Colour | None], enough: float = MOST, least: int = 1
) -> Part:
    def find(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        sides = [colour(points, 0.0) for points in numbers.differences(method, than, datasets)]
        held = [at for at, side in zip(datasets, sides, strict=True) if side in wanted]
        if "worse" not in wanted:
            held = [at for at in held if (at, method) not in numbers.one_class]
        return _on(held, datasets, _against(numbers, method, than, datasets))

    return Part(says, (method, than), find, enough, least)


def _against(numbers: Numbers, method: str, than: str, datasets: Sequence[str]) -> str:
    if len(datasets) == 1:
        return f"{numbers.errors[datasets[0], method]:.2f} against {numbers.errors[datasets[0], than]:.2f} %"
    differences = numbers.differences(method, than, datasets)
    sides = [colour(points, 0.0) for points in differences]
    return (
        f"median {median(differences):+.2f} points, worse by {POINTS:g} or more on {sides.count('worse')}, "
        f"better on {sides.count('better')} of {len(datasets)}{_p_text(_p_value(differences))}"
    )


def _on(held: Sequence[str], datasets: Sequence[str], detail: str = "") -> Finding:
    """Return the finding that a part holds on `held`; it names these or the others, whichever are fewer."""
    where = datasets[0] if len(datasets) == 1 else f"{len(held)} of {len(datasets)} datasets"
    others = [dataset for dataset in datasets if dataset not in held]
    if held and others:
        where += f" (only {', '.join(held)})" if len(held) < len(others) else f" (not {', '.join(others)})"
    return Finding(len(held) / len(datasets), where, detail)


def _with_opposite(scheme: str, percentage: int) -> str:
    return f"{scheme}-{percentage}%+BN+BM" if percentage else f"{scheme}+BN+BM"


def _span(points: Sequence[float]) -> str:
    return f"{points[0]:.2f}" if len(points) == 1 else f"{min(points):.2f} to {max(points):.2f}"


def _p_value(differences: Sequence[float]) -> float | None:
    """Return p of the two-sided Wilcoxon signed-rank test, or None where there are too few datasets for it.

    Exact, by counting all ways to give the ranks signs; scipy approximates or is slow where differences
    are tied, as those of rounded errors may be. Equal pairs are left out, ties share their ranks.
    """
    if len(differences) < ENOUGH_DATASETS:
        return None
    sizes = [abs(points) for points in differences if points]
    ranks = [
        sum((x < size) + (x <= size) for x in sizes) + 1 for size in sizes
    ]  # doubled, so that halves are whole
    ways = [1]  # ways[w]: choices of signs for which the positive ranks add up to w
    for rank in ranks:
        ways = [a + b for a, b in zip(ways + [0] * rank, [0] * rank + ways, strict=True)]
    positive = sum(rank for rank, points in zip(ranks, filter(None, differences), strict=True) if points > 0)
    tail = min(sum(ways[: positive + 1]), sum(ways[positive:]))
    return min(1.0, 2 * tail / sum(ways))


def _rank_correlation(sizes: Sequence[float], gains: Sequence[float]) -> tuple[float, float]:
    """Return Spearman's rho and the p of its being negative; 0 and 1 where all sizes or all gains are equal.

    By Student's t, an approximation that is usual from about ten pairs on.
    """
    rho = rank_correlation(sizes, gains)
    if rho is None:
        return 0.0, 1.0
    if abs(rho) == 1:  # one order of all n! is so, where nothing is tied
        return rho, 1 / math.factorial(len(sizes)) if rho < 0 else 1.0
    from scipy.special import stdtr  # imported here, and not scipy.stats: a report must start fast

    freedom = len(sizes) - 2
    return rho, float(stdtr(freedom, rho * math.sqrt(freedom / (1 - rho**2))))


def _p_text(p: float | None, name: str = "Wilcoxon p") -> str:
    return "" if p is None else f" ({name} < 0.001)" if p < 0.001 else f" ({name} = {p:.2g})"
