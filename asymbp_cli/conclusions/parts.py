"""What a conclusion is made of: numbers, and kinds of parts that hold of them or not.

The paper states its conclusions in words and tests none of them. Its one yardstick is that of its colours: a
difference of 3 points (section 5). The rest is ours, and the same for every claim: methods are *alike* where
the median over datasets of their spread stays below 3 points; something holds *mostly* where it does on two
thirds of the datasets at least, which on one dataset means on that one. No part is judged without a dataset
that has every number it needs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from asymbp_cli.agreement import rank_correlation

POINTS = 3.0
MOSTLY = 2 / 3
BN_BM = "+BN+BM"
_FEWEST_FOR_A_TEST = 6  # below, no outcome of a signed-rank test is significant at 5 %


@dataclass(frozen=True)
class Numbers:
    """Errors in percent by (dataset, method's name), and what the checks must know beside them."""

    errors: Mapping[tuple[str, str], float]
    dead: frozenset[tuple[str, str]] = frozenset()  # answer every test sample with one class, or diverged
    chance: Mapping[str, float] = field(default_factory=dict)  # error in percent of a random guess
    train_counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def datasets(self) -> list[str]:
        """Return the datasets in order of appearance."""
        return list(dict.fromkeys(dataset for dataset, _ in self.errors))

    def complete(self, methods: Sequence[str]) -> list[str]:
        """Return the datasets that have an error for each of `methods`."""
        return [name for name in self.datasets if all((name, method) in self.errors for method in methods)]


@dataclass(frozen=True)
class Part:
    """A part of a claim: whether it holds, on which datasets, and the numbers; None: a dataset is lacking."""

    holds: bool | None
    datasets: tuple[str, ...]
    evidence: str


# kinds of parts -----------------------------------------------------------------------------------------------


def alike(*methods: str) -> Callable[[Numbers], Part]:
    """Methods are alike: the median over datasets of highest minus lowest error is below 3 points."""

    def part(numbers: Numbers) -> Part:
        names = numbers.complete(methods)
        if not names:
            return _lacking(methods)
        spreads = {name: _spread([numbers.errors[name, method] for method in methods]) for name in names}
        widest = max(spreads, key=lambda name: spreads[name])
        middle = median(spreads.values())
        text = f"{_listed(methods)} lie {middle:.2f} points apart ({_on(names, 'median of')})"
        if len(names) > 1:
            text += f", at most {spreads[widest]:.2f} (on {widest})"
        return Part(round(middle, 6) < POINTS, tuple(names), text)

    return part


def not_worse(method: str, than: str) -> Callable[[Numbers], Part]:
    """Mostly, `method` is less than 3 points worse than `than`."""

    def part(numbers: Numbers) -> Part:
        gaps = _gaps(numbers, method, than)
        if not gaps:
            return _lacking((method, than))
        near = [name for name, gap in gaps.items() if round(gap, 6) < POINTS]
        text = _count(near, gaps, f"{method} is less than 3 points worse than {than}")
        return Part(len(near) >= MOSTLY * len(gaps), tuple(gaps), text)

    return part


def better(method: str, than: str) -> Callable[[Numbers], Part]:
    """Mostly, `method` is better than `than` by 3 points or more."""

    def part(numbers: Numbers) -> Part:
        gaps = _gaps(numbers, method, than)
        if not gaps:
            return _lacking((method, than))
        better = [name for name, gap in gaps.items() if round(gap, 6) <= -POINTS]
        holds = len(better) >= MOSTLY * len(gaps)
        text = _count(better, gaps, f"{method} is better than {than} by 3 points or more")
        return Part(holds, tuple(gaps), text)

    return part


def dies(method: str) -> Callable[[Numbers], Part]:
    """Mostly, `method` ends by answering one class."""

    def part(numbers: Numbers) -> Part:
        names = numbers.complete([method])
        if not names:
            return _lacking([method])
        dead = [name for name in names if (name, method) in numbers.dead]
        others = [name for name in names if name not in dead]
        text = f"{method} answers everything with one class {_where(dead, names)}"
        if dead and others:
            text += f" (not on {_listed(others)})"
        return Part(len(dead) >= MOSTLY * len(names), tuple(names), text)

    return part


def signs_matter(scheme: str) -> Callable[[Numbers], Part]:
    """Mostly, the worse error at 0 and 25 % flipped signs is 3 points below the best at 50, 75 and 100 %."""
    few = (f"{scheme}{BN_BM}", f"{scheme}-25%{BN_BM}")
    many = tuple(f"{scheme}-{percent}%{BN_BM}" for percent in (50, 75, 100))

    def part(numbers: Numbers) -> Part:
        names = numbers.complete([*few, *many])
        if not names:
            return _lacking([*few, *many])
        gaps = {
            name: max(numbers.errors[name, m] for m in few) - min(numbers.errors[name, m] for m in many)
            for name in names
        }
        apart = [name for name, gap in gaps.items() if round(gap, 6) <= -POINTS]
        text = _count(apart, gaps, f"{scheme} at 0 and 25 % opposite signs lies 3 points below 50, 75 and 100 %")
        return Part(len(apart) >= MOSTLY * len(names), tuple(names), text)

    return part


def often_lower(method: str, than: str) -> Callable[[Numbers], Part]:
    """On half of the datasets at least, `method` has the lower error."""

    def part(numbers: Numbers) -> Part:
        gaps = _gaps(numbers, method, than)
        if not gaps:
            return _lacking((method, than))
        lower = [name for name, gap in gaps.items() if gap < 0]
        text = _count(lower, gaps, f"{method} is below {than}")
        return Part(len(lower) >= len(gaps) / 2, tuple(gaps), text)

    return part


def most_on_small_sets(method: str, than: str) -> Callable[[Numbers], Part]:
    """The gain of `method` falls with the number of training samples: a positive rank correlation with the gap."""

    def part(numbers: Numbers) -> Part:
        gaps = {n: gap for n, gap in _gaps(numbers, method, than).items() if n in numbers.train_counts}
        found = rank_correlation([float(numbers.train_counts[name]) for name in gaps], list(gaps.values()))
        if found is None:
            return Part(None, (), f"{method} and {than} are needed on four datasets of different size")
        text = f"the gap {method} minus {than} has rank correlation {found:+.2f} with the training set's size"
        return Part(found > 0, tuple(gaps), f"{text} ({len(gaps)} datasets)")

    return part


# remarks ------------------------------------------------------------------------------------------------------


def tells_three_points(method: str, than: str) -> Callable[[Numbers], str]:
    def remark(numbers: Numbers) -> str:
        gaps = _gaps(numbers, method, than)
        worse = [name for name, gap in gaps.items() if round(gap, 6) >= POINTS]
        better = [name for name, gap in gaps.items() if round(gap, 6) <= -POINTS]
        text = _count(worse, gaps, f"{method} is worse than {than} by 3 points or more") if gaps else ""
        return text + (f"; better by as much on {_listed(better)}" if better else "")

    return remark


def not_monotone(scheme: str) -> Callable[[Numbers], str]:
    all_, most = f"{scheme}-100%{BN_BM}", f"{scheme}-75%{BN_BM}"

    def remark(numbers: Numbers) -> str:
        gaps = _gaps(numbers, all_, most)
        lower = [name for name, gap in gaps.items() if gap < 0]
        return f"{scheme} errs less at 100 % than at 75 % {_where(lower, list(gaps))}" if gaps else ""

    return remark


def below_chance(method: str) -> Callable[[Numbers], str]:
    def remark(numbers: Numbers) -> str:
        names = [name for name in numbers.complete([method]) if name in numbers.chance]
        gains = {name: numbers.chance[name] - numbers.errors[name, method] for name in names}
        if not gains:
            return ""
        below, far = ([name for name, gain in gains.items() if gain > limit] for limit in (0, 20))
        return (
            f"{method} errs less than a random guess {_where(below, names)}, "
            f"by more than 20 points {_where(far, names)}"
        )

    return remark


# words --------------------------------------------------------------------------------------------------------


def _gaps(numbers: Numbers, method: str, than: str) -> dict[str, float]:
    """Return the error of `method` minus that of `than`, by dataset."""
    names = numbers.complete([method, than])
    return {name: numbers.errors[name, method] - numbers.errors[name, than] for name in names}


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)


def _lacking(methods: Sequence[str]) -> Part:
    return Part(None, (), f"no dataset has all of {_listed(methods)}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _on(names: Sequence[str], how: str) -> str:
    return f"{how} {len(names)} datasets" if len(names) > 1 else f"on {names[0]}"


def _count(which: Sequence[str], gaps: Mapping[str, float], what: str) -> str:
    """Return how often something is so, the median gap, and from six datasets on a paired test."""
    middle = f"{'median ' if len(gaps) > 1 else ''}difference {median(gaps.values()):+.2f} points"
    p_value = _signed_rank(list(gaps.values()))
    test = f", Wilcoxon signed-rank p = {p_value:.2g}" if p_value is not None else ""
    return f"{what} {_where(which, list(gaps))}; {middle}{test}"


def _where(which: Sequence[str], names: Sequence[str]) -> str:
    """Return `on 14 of 15`, or the name where there is one dataset only."""
    if len(names) > 1:
        return f"on {len(which)} of {len(names)}"
    return f"on {names[0]}" if which else f"not on {names[0]}"


def _signed_rank(gaps: Sequence[float]) -> float | None:
    """Return the two-sided p of Wilcoxon's signed-rank test over datasets; None with too few of them."""
    if len([gap for gap in gaps if gap]) < _FEWEST_FOR_A_TEST:
        return None
    from scipy.stats import wilcoxon

    return float(wilcoxon([round(gap, 6) for gap in gaps]).pvalue)
