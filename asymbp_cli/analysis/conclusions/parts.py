"""The parts that conclusions consist of, each a small function of method names.

The authors give no test; their one yardstick is 3 points of error (`tables.colour_of`). Therefore a part holds or
fails on every dataset by itself: one dataset is enough to judge it, and with several the exceptions have names.
The thresholds here are ours. P values are printed next to the counts and decide nothing, except about the sizes
of training sets: p shrinks with every dataset, ignores the size of a difference, and cannot show that methods are
alike. A dead network, which answers everything with one class, is never "like" another or better. Otherwise a
study in which nothing learns would support every claim of likeness.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from statistics import median
from typing import Literal

from asymbp_cli.analysis.conclusions.numbers import Numbers
from asymbp_cli.analysis.conclusions.significance import ENOUGH_DATASETS, correlate_ranks, format_p, signed_rank_p
from asymbp_cli.analysis.tables import POINTS, Colour, colour_of

#: A part holds if it does on two datasets of three: twice as many for it as against it.
MOST = 2 / 3
#: "Often" means on at least a third of the datasets.
OFTEN = 1 / 3
#: A network "hardly learns" if it goes less than this share of the way from guessing to the reference's error.
HARDLY = 1 / 4
#: Level of the one-sided test on training-set sizes, the one part that is about all datasets at once.
LEVEL = 0.05
#: A network that is more than so many points better than a guess is not "close to chance".
FAR_BELOW_CHANCE = 20

PERCENTAGES = (0, 25, 50, 75, 100)  # of opposite signs; Table 3

_FACTS = {"chance": "the error of a guess", "train_counts": "the size of the training set"}


@dataclass(frozen=True)
class Finding:
    """The share of the datasets on which a part holds, their names in words, and the numbers it rests on."""

    share: float
    where: str
    detail: str = ""


@dataclass(frozen=True)
class Part:
    """A statement that holds if it does on at least `required_share` of the datasets.

    It is judged on the datasets that have every method of `methods` and the `required_fact`, if there are at least
    `min_datasets` of them. If it is not `claimed`, it is a remark: the authors' words may go beyond their numbers.
    """

    text: str
    methods: tuple[str, ...]
    evaluate: Callable[[Numbers, Sequence[str]], Finding]
    required_share: float = MOST
    min_datasets: int = 1
    required_fact: Literal["chance", "train_counts"] | None = None
    claimed: bool = True

    def missing(self, numbers: Numbers, dataset: str) -> list[str]:
        """Return the methods and facts that the part needs and the dataset does not have."""
        missing = [method for method in self.methods if (dataset, method) not in numbers.errors]
        if self.required_fact and dataset not in getattr(numbers, self.required_fact):
            missing.append(_FACTS[self.required_fact])
        return missing

    def holds(self, finding: Finding) -> bool:
        """Return whether a finding is enough for the part."""
        return finding.share >= self.required_share


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
    """Better by 3 points or more on a third of the datasets; needs enough datasets to mean anything."""
    text = f"{method} is often better than {than} by {POINTS:g} points or more"
    return _pair(text, method, than, ("better",), OFTEN, ENOUGH_DATASETS)


def alike(*methods: str) -> Part:
    """All alive, and no method is worse than another by 3 points or more on over a third of the datasets.

    Two one-sided statements make an equivalence: datasets may differ, but not all in one direction.
    """

    def evaluate(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        differences = [numbers.differences(*pair, datasets) for pair in permutations(methods, 2)]
        alive = [not any((at, method) in numbers.one_class for method in methods) for at in datasets]
        close = [
            [is_alive and points < POINTS for is_alive, points in zip(alive, pair, strict=True)]
            for pair in differences
        ]
        all_close = [at for at, pairs in zip(datasets, zip(*close, strict=True), strict=True) if all(pairs)]
        within = _finding(all_close, datasets)
        if len(datasets) == 1:
            return Finding(within.share, within.where, f"at most {max(differences)[0]:.2f} points apart")
        return _least_alike(differences, min(map(sum, close)), within.where)

    return Part(f"{', '.join(methods)} are alike", methods, evaluate)


def _least_alike(differences: Sequence[Sequence[float]], held: int, where_all: str) -> Finding:
    """Return the finding on several datasets: the least alike pair, which is close on `held` of them, decides."""
    count = len(differences[0])
    p_values = [p for pair in differences if (p := signed_rank_p(pair)) is not None]
    p_text = format_p(min(p_values, default=None), "smallest Wilcoxon p")
    return Finding(
        held / count,
        f"{held} of {count} datasets for the least alike pair",
        f"all within {POINTS:g} points on {where_all}, medians of the pairs up to "
        f"{max(map(median, differences)):.2f} points apart{p_text}",
    )


def dead(method: str) -> Part:
    """It answers every test sample with one class."""

    def evaluate(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        return _finding([at for at in datasets if (at, method) in numbers.one_class], datasets)

    return Part(f"{method} answers every sample with one class", (method,), evaluate)


def alive(method: str) -> Part:
    """It answers with more than one class."""

    def evaluate(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        return _finding([at for at in datasets if (at, method) not in numbers.one_class], datasets)

    return Part(f"{method} answers with more than one class", (method,), evaluate)


def hardly_learns(method: str, reference: str, *, claimed: bool = True) -> Part:
    """It goes less than a quarter of the way from guessing to the error of the reference method."""

    def evaluate(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        learned = [round(numbers.chance[at] - numbers.errors[at, method], 6) for at in datasets]
        expected = [numbers.chance[at] - numbers.errors[at, reference] for at in datasets]
        held = [at for at, ours, whole in zip(datasets, learned, expected, strict=True) if ours < HARDLY * whole]
        far = sum(points > FAR_BELOW_CHANCE for points in learned)
        detail = f"{_span(learned)} points below a guess, over {FAR_BELOW_CHANCE} on {far} of {len(datasets)}"
        return _finding(held, datasets, detail)

    text = f"{method} hardly learns: it goes less than {HARDLY:.0%} of the way from guessing to {reference}"
    return Part(text, (method, reference), evaluate, required_fact="chance", claimed=claimed)


def signs_matter(scheme: str) -> Part:
    """The lowest error at 50 % opposite signs or more is 3 points or more above the higher one of 0 and 25 %."""
    methods = tuple(_with_opposite(scheme, percentage) for percentage in PERCENTAGES)

    def evaluate(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        errors = [[numbers.errors[at, method] for method in methods] for at in datasets]
        gaps = [round(min(row[2:]) - max(row[:2]), 6) for row in errors]
        held = [at for at, gap in zip(datasets, gaps, strict=True) if gap >= POINTS]
        return _finding(held, datasets, f"the gap is {_span(gaps)} points{format_p(signed_rank_p(gaps))}")

    text = f"{scheme} errs less at 0 and 25 % opposite signs than at 50 to 100 %, by {POINTS:g} points or more"
    return Part(text, methods, evaluate)


def every_sign_matters(scheme: str) -> Part:
    """The error rises at every step: a remark on the abstract's "the more concordant signs the better"."""
    methods = tuple(_with_opposite(scheme, percentage) for percentage in PERCENTAGES)

    def evaluate(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        steps = [numbers.differences(more, fewer, datasets) for fewer, more in pairwise(methods)]
        held = [at for at, rises in zip(datasets, zip(*steps, strict=True), strict=True) if min(rises) > 0]
        rising = (
            f"{fewer} to {more} % on {sum(points > 0 for points in step)}"
            for (fewer, more), step in zip(pairwise(PERCENTAGES), steps, strict=True)
        )
        return _finding(held, datasets, f"the error rises from {', '.join(rising)} of {len(datasets)}")

    return Part(f"{scheme} errs more at every step to more opposite signs", methods, evaluate, claimed=False)


def most_on_small_sets(method: str, than: str, *, claimed: bool = True) -> Part:
    """The gain falls with the size of the training set: Spearman's rho is negative, its one-sided p below 0.05."""

    def evaluate(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        gains = numbers.differences(than, method, datasets)
        rho, p = correlate_ranks([numbers.train_counts[at] for at in datasets], gains)
        detail = f"Spearman's rho of gain and training-set size is {rho:+.2f}{format_p(p, 'one-sided p')}"
        return Finding(1.0 if p < LEVEL else 0.0, f"{len(datasets)} datasets", detail)

    text = f"the smaller the training set, the more {method} gains on {than}"
    return Part(
        text, (method, than), evaluate, min_datasets=ENOUGH_DATASETS, required_fact="train_counts", claimed=claimed
    )


def _pair(
    text: str,
    method: str,
    than: str,
    allowed: Container[Colour | None],
    required_share: float = MOST,
    min_datasets: int = 1,
) -> Part:
    """Return the part that `method` is to `than` what one of the `allowed` colours says."""

    def evaluate(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        colours = [colour_of(points, 0.0) for points in numbers.differences(method, than, datasets)]
        held = [at for at, colour in zip(datasets, colours, strict=True) if colour in allowed]
        if "worse" not in allowed:
            held = [at for at in held if (at, method) not in numbers.one_class]
        return _finding(held, datasets, _describe_pair(numbers, method, than, datasets))

    return Part(text, (method, than), evaluate, required_share, min_datasets)


def _describe_pair(numbers: Numbers, method: str, than: str, datasets: Sequence[str]) -> str:
    if len(datasets) == 1:
        return f"{numbers.errors[datasets[0], method]:.2f} against {numbers.errors[datasets[0], than]:.2f} %"
    differences = numbers.differences(method, than, datasets)
    colours = [colour_of(points, 0.0) for points in differences]
    return (
        f"median {median(differences):+.2f} points, worse by {POINTS:g} or more on {colours.count('worse')}, "
        f"better on {colours.count('better')} of {len(datasets)}{format_p(signed_rank_p(differences))}"
    )


def _finding(held: Sequence[str], datasets: Sequence[str], detail: str = "") -> Finding:
    """Return the finding that a part holds on `held`.

    It names the datasets that hold or those that do not, whichever list is shorter.
    """
    where = datasets[0] if len(datasets) == 1 else f"{len(held)} of {len(datasets)} datasets"
    others = [dataset for dataset in datasets if dataset not in held]
    if held and others:
        where += f" (only {', '.join(held)})" if len(held) < len(others) else f" (not {', '.join(others)})"
    return Finding(len(held) / len(datasets), where, detail)


def _with_opposite(scheme: str, percentage: int) -> str:
    return f"{scheme}-{percentage}%+BN+BM" if percentage else f"{scheme}+BN+BM"


def _span(points: Sequence[float]) -> str:
    return f"{points[0]:.2f}" if len(points) == 1 else f"{min(points):.2f} to {max(points):.2f}"
