"""The parts that conclusions consist of, each a small function of method names.

The authors give no test; their one yardstick is 3 points of error (`cells.colour_of`). Therefore a part holds or
fails on every dataset by itself: one dataset is enough to judge it, and with several the exceptions have names.
The thresholds here are ours, and `grading` shows what their neighbours would say. P values are printed next to the
counts, not corrected for their number, and decide nothing, except about the sizes of training sets: p shrinks with
every dataset, ignores the size of a difference, and cannot show that methods are alike. A dead network, which
answers everything with one class, is never "like" another or better. Otherwise a study in which nothing learns
would support every claim of likeness.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from statistics import median
from typing import Literal

from asymbp_cli.analysis.cells import POINTS, Colour, colour_of
from asymbp_cli.analysis.conclusions.gaps import Gap, find_too_small, find_unsure, sign_gap, widest_gap
from asymbp_cli.analysis.conclusions.grading import (
    LEVEL,
    Finding,
    Tally,
    grade_level,
    grade_tally,
    required_count,
)
from asymbp_cli.analysis.conclusions.numbers import Numbers
from asymbp_cli.analysis.conclusions.significance import (
    ENOUGH_DATASETS,
    correlate_ranks,
    correlate_ranks_given,
    format_p,
    signed_rank_p,
)

#: A part holds if it does on two datasets of three: twice as many for it as against it.
MOST = 2 / 3
#: "Often" means on at least a third of the datasets.
OFTEN = 1 / 3
#: A network "hardly learns" if it goes less than this share of the way from guessing to the reference's error.
HARDLY = 1 / 4
#: A network that is more than so many points better than a guess is not "close to chance".
FAR_BELOW_CHANCE = 20

PERCENTAGES = (0, 25, 50, 75, 100)  # of opposite signs; Table 3

_FACTS = {"chance": "the error of a guess", "train_counts": "the size of the training set"}


@dataclass(frozen=True)
class Part:
    """A statement about methods, and how it is judged.

    It is judged on the datasets that have every method of `methods` and the `required_fact`, if there are at least
    `min_datasets` of them. If it is not `claimed`, it is a remark: the authors' words may go beyond their numbers.
    """

    text: str
    methods: tuple[str, ...]
    evaluate: Callable[[Numbers, Sequence[str]], Finding]
    min_datasets: int = 1
    required_fact: Literal["chance", "train_counts"] | None = None
    claimed: bool = True

    def missing(self, numbers: Numbers, dataset: str) -> list[str]:
        """Return the methods and facts that the part needs and the dataset does not have."""
        missing = [method for method in self.methods if (dataset, method) not in numbers.errors]
        if self.required_fact and dataset not in getattr(numbers, self.required_fact):
            missing.append(_FACTS[self.required_fact])
        return missing


def no_worse(method: str, than: str) -> Part:
    """Alive, and not worse by 3 points or more."""
    return _pair(f"{method} is like {than} or better", method, than, (None, "better"))


def close_behind(method: str, than: str) -> Part:
    """As `no_worse`, of a method that its numbers do not allow to call like the other: it may err more."""
    return _pair(f"{method} is less than {POINTS:g} points behind {than}", method, than, (None, "better"))


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
    """All alive, and within 3 points of each other on two thirds of the datasets.

    If they are not, but no method is worse than another by 3 points or more on over a third of the datasets, they
    differ in no consistent direction, which is less.
    """
    pairs = list(permutations(methods, 2))

    def evaluate(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        close = {
            pair: [at for at in datasets if numbers.alive(at, methods) and numbers.difference(*pair, at) < POINTS]
            for pair in pairs
        }
        held = tuple(at for at in datasets if all(at in others for others in close.values()))
        least = min(map(len, close.values()))
        tally = Tally(
            datasets=tuple(datasets),
            held=held,
            too_small=find_too_small(numbers, dict.fromkeys(datasets, methods)),
            unsure=find_unsure(numbers, {at: widest_gap(numbers, methods, at) for at in datasets}),
            detail=_describe_pairs([numbers.differences(*pair, datasets) for pair in pairs], least),
        )
        no_direction = len(datasets) > 1 and least >= required_count(MOST, len(datasets))
        return grade_tally(tally, MOST, at_best="no consistent direction" if no_direction else "no")

    return Part(f"{', '.join(methods)} are alike", methods, evaluate)


def _describe_pairs(differences: Sequence[Sequence[float]], least: int) -> str:
    """Return the finding of all pairs in both directions; the least alike one is close on `least` datasets."""
    count = len(differences[0])
    if count == 1:
        return f"at most {max(points for (points,) in differences):.2f} points apart"
    p_values = [p for pair in differences if (p := signed_rank_p(pair)) is not None]
    p_text = format_p(min(p_values, default=None), f"smallest of {len(differences) // 2} uncorrected Wilcoxon p")
    return (
        f"no method is worse than another by {POINTS:g} points or more on more than {count - least}, medians "
        f"of the pairs up to {max(map(median, differences)):.2f} points apart{p_text}"
    )


def dead(method: str) -> Part:
    """It answers every test sample with one class."""

    def evaluate(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        return _count([at for at in datasets if not numbers.alive(at, [method])], datasets)

    return Part(f"{method} answers every sample with one class", (method,), evaluate)


def alive(method: str) -> Part:
    """It answers with more than one class."""

    def evaluate(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        return _count([at for at in datasets if numbers.alive(at, [method])], datasets)

    return Part(f"{method} answers with more than one class", (method,), evaluate)


def hardly_learns(method: str, reference: str, *, claimed: bool = True) -> Part:
    """It goes less than a quarter of the way from guessing to the error of the reference method."""

    def evaluate(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        learned = [round(numbers.chance[at] - numbers.errors[at, method], 6) for at in datasets]
        expected = [numbers.chance[at] - numbers.errors[at, reference] for at in datasets]
        held = [at for at, ours, whole in zip(datasets, learned, expected, strict=True) if ours < HARDLY * whole]
        far = sum(points > FAR_BELOW_CHANCE for points in learned)
        detail = f"{_span(learned)} points below a guess, over {FAR_BELOW_CHANCE} on {far} of {len(datasets)}"
        return _count(held, datasets, detail)

    text = f"{method} hardly learns: it goes less than {HARDLY:.0%} of the way from guessing to {reference}"
    return Part(text, (method, reference), evaluate, required_fact="chance", claimed=claimed)


def signs_matter(scheme: str) -> Part:
    """The lowest error at 50 % opposite signs or more is 3 points or more above the higher one of 0 and 25 %."""
    methods = tuple(_with_opposite(scheme, percentage) for percentage in PERCENTAGES)

    def evaluate(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        gaps = {at: sign_gap(numbers, methods, at) for at in datasets}
        points = [gap.points for gap in gaps.values()]
        tally = Tally(
            datasets=tuple(datasets),
            held=tuple(at for at, gap in gaps.items() if gap.points >= POINTS),
            too_small=find_too_small(numbers, {at: gap.methods for at, gap in gaps.items()}),
            unsure=find_unsure(numbers, gaps),
            detail=f"the gap is {_span(points)} points{format_p(signed_rank_p(points))}",
        )
        return grade_tally(tally, MOST)

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
        return _count(held, datasets, f"the error rises from {', '.join(rising)} of {len(datasets)}")

    return Part(f"{scheme} errs more at every step to more opposite signs", methods, evaluate, claimed=False)


def most_on_small_sets(method: str, than: str, *, claimed: bool = True) -> Part:
    """The gain falls with the size of the training set, among datasets that are equally difficult for SGD.

    It holds if the partial rank correlation is negative, its one-sided p below 0.05: small sets are also the
    difficult ones, so difficulty (SGD's error) is held constant.
    """

    def evaluate(numbers: Numbers, datasets: Sequence[str]) -> Finding:
        gains = numbers.differences(than, method, datasets)
        sizes = [numbers.train_counts[at] for at in datasets]
        difficulty = [numbers.errors[at, "SGD"] for at in datasets]
        rho, p = correlate_ranks(sizes, gains)
        partial, partial_p = correlate_ranks_given(sizes, gains, difficulty)
        together, _ = correlate_ranks(sizes, difficulty)
        return grade_level(
            partial_p,
            len(datasets),
            f"Spearman's rho of gain and training-set size is {rho:+z.2f}{format_p(p, _ONE_SIDED)}, with "
            f"difficulty (SGD's error) held constant {partial:+z.2f}{format_p(partial_p, _ONE_SIDED)}; that of "
            f"size and difficulty is {together:+z.2f}",
        )

    text = f"the smaller the training set, the more {method} gains on {than}, at equal difficulty"
    methods = tuple(dict.fromkeys((method, than, "SGD")))
    return Part(text, methods, evaluate, ENOUGH_DATASETS, required_fact="train_counts", claimed=claimed)


_ONE_SIDED = "uncorrected one-sided p"


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
        worse, better = (method, than), (than, method)
        pair = better if allowed == ("better",) else worse
        gaps = {at: Gap(numbers.difference(*pair, at), pair) for at in datasets}
        colours = {at: colour_of(numbers.difference(method, than, at), 0.0) for at in datasets}
        held = [at for at, colour in colours.items() if colour in allowed]
        if "worse" not in allowed:
            held = [at for at in held if numbers.alive(at, [method])]
        tally = Tally(
            datasets=tuple(datasets),
            held=tuple(held),
            too_small=find_too_small(numbers, dict.fromkeys(datasets, (method, than))),
            unsure=find_unsure(numbers, gaps),
            detail=_describe_pair(numbers, method, than, datasets, may_differ=None not in allowed),
        )
        return grade_tally(tally, required_share)

    return Part(text, (method, than), evaluate, min_datasets)


def _describe_pair(numbers: Numbers, method: str, than: str, datasets: Sequence[str], *, may_differ: bool) -> str:
    """Return the size of a difference, and, unless it `may_differ`, that it is consistent although it is small."""
    if len(datasets) == 1:
        return f"{numbers.errors[datasets[0], method]:.2f} against {numbers.errors[datasets[0], than]:.2f} %"
    differences = numbers.differences(method, than, datasets)
    colours = [colour_of(points, 0.0) for points in differences]
    far = (
        f"worse by {POINTS:g} or more on {colours.count('worse')}, better on {colours.count('better')} of "
        f"{len(datasets)}"
    )
    p = signed_rank_p(differences)
    if not may_differ and p is not None and p < LEVEL and median(differences) > 0:
        more = sum(points > 0 for points in differences)
        return (
            f"though {method} errs more on {more} of {len(datasets)} datasets, by {median(differences):.2f} "
            f"points in the median{format_p(p)}; {far}"
        )
    return f"median {median(differences):+z.2f} points, {far}{format_p(p)}"


def _count(held: Sequence[str], datasets: Sequence[str], detail: str = "") -> Finding:
    """Return the finding of a part that does not depend on 3 points."""
    return grade_tally(Tally(tuple(datasets), tuple(held), detail=detail), MOST)


def _with_opposite(scheme: str, percentage: int) -> str:
    return f"{scheme}-{percentage}%+BN+BM" if percentage else f"{scheme}+BN+BM"


def _span(points: Sequence[float]) -> str:
    return f"{points[0]:.2f}" if len(points) == 1 else f"{min(points):.2f} to {max(points):.2f}"
