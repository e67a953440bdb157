"""How clear the outcome of a part is: what one dataset more or fewer, or another level of p, would change."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Literal

Outcome = Literal["yes", "no", "no consistent direction", "cannot be told at this size of error"]
Grade = Literal["clear by count", "clear by p", "on this dataset", "on the threshold", "open"]

#: level of the one-sided test on training-set sizes, the one part that is about all datasets at once
LEVEL = 0.05
#: the usual levels next to it
NEIGHBOURING_LEVELS = (0.01, 0.1)


@dataclass(frozen=True)
class Finding:
    """The outcome of a part on some datasets.

    `count` says on how many of several datasets it holds, what the neighbouring thresholds would give, and how
    many datasets are within two standard errors; it is empty with one dataset. `margin` orders outcomes by how
    clear they are: a share of the datasets.
    """

    outcome: Outcome
    grade: Grade  # neither yes nor no is open
    where: str
    count: str
    margin: float
    detail: str = ""

    @property
    def is_clear(self) -> bool:
        """Return whether the outcome is away from its threshold."""
        return self.grade != "on the threshold"


@dataclass(frozen=True)
class Tally:
    """The datasets that a part was looked up on, those on which it holds, and those that say little.

    On a dataset of `too_small` all errors that the part compares are within 3 points of each other, and the lowest
    within 3 points of 0: there the part can hardly fail, or hardly hold. On a dataset of `unsure` it holds or
    fails by less than two standard errors.
    """

    datasets: tuple[str, ...]
    held: tuple[str, ...]
    too_small: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    detail: str = ""


def required_count(share: float, count: int) -> int:
    """Return the fewest of `count` datasets that are at least this share of them."""
    return ceil(round(share * count, 9))


def grade_tally(tally: Tally, required_share: float, *, at_best: Outcome = "no") -> Finding:
    """Return the finding on datasets of which at least `required_share` must hold.

    It is clear by count if one dataset more or fewer required would change nothing. With one dataset it is never
    clear: it holds on this dataset, or is on the threshold if its difference is within two standard errors of 3
    points. If too few hold, the outcome is `at_best`.
    """
    count, held = len(tally.datasets), len(tally.held)
    required = required_count(required_share, count)
    holds = held >= required
    neighbours = {other: held >= other for other in (required - 1, required + 1) if 1 <= other <= count}
    outcome: Outcome = "yes" if holds else at_best
    if len(tally.too_small) == count:
        outcome = "cannot be told at this size of error"
    grade: Grade = "clear by count" if count > 1 else "on this dataset"
    if any(answer != holds for answer in neighbours.values()) or (count == 1 and tally.unsure):
        grade = "on the threshold"
    counted = f"{held} of {count} datasets, {required} required{_describe(neighbours)}{_describe_unsure(tally)}"
    return Finding(
        outcome=outcome,
        grade=grade if outcome in ("yes", "no") else "open",
        where=_where(tally),
        count=counted if count > 1 else "",
        margin=abs(held / count - required_share),
        detail="; ".join(filter(None, (tally.detail, _describe_little(tally)))),
    )


def grade_level(p: float, count: int, detail: str) -> Finding:
    """Return the finding of a part that holds if `p` of a test over `count` datasets is below LEVEL."""
    answers = {level: p < level for level in NEIGHBOURING_LEVELS}
    holds = p < LEVEL
    return Finding(
        outcome="yes" if holds else "no",
        grade="clear by p" if all(answer == holds for answer in answers.values()) else "on the threshold",
        where=f"{count} datasets",
        count=f"{count} datasets, p < {LEVEL:g} required{_describe(answers)}",
        margin=1.0,
        detail=detail,
    )


def _describe(answers: Mapping[int, bool] | Mapping[float, bool]) -> str:
    """Return the verdicts of neighbouring thresholds, in brackets."""
    texts = (f"with {threshold:g}: {'yes' if answer else 'no'}" for threshold, answer in answers.items())
    return f" ({', '.join(texts)})" if answers else ""


def _where(tally: Tally) -> str:
    """Return where the part holds: the datasets that do, or those that do not, whichever list is shorter."""
    datasets, held = tally.datasets, tally.held
    if len(datasets) == 1:
        return datasets[0]
    where = f"{len(held)} of {len(datasets)} datasets"
    others = [dataset for dataset in datasets if dataset not in held]
    if held and others:
        where += f" (only {', '.join(held)})" if len(held) < len(others) else f" (not {', '.join(others)})"
    return where


def _describe_unsure(tally: Tally) -> str:
    """Return how many datasets are close to 3 points."""
    return f"; {len(tally.unsure)} within two standard errors of 3 points" if tally.unsure else ""


def _describe_little(tally: Tally) -> str:
    """Return why datasets say little; with several, `count` has how many are close to 3 points."""
    if len(tally.datasets) == 1:
        return "within two standard errors of 3 points" if tally.unsure else ""
    return f"errors too small to tell on {', '.join(tally.too_small)}" if tally.too_small else ""
