"""How sure a difference of errors is: binomial on the test set, and paired over seeds.

The binomial part counts the size of the test set only. Errors of two methods on one test set rise and fall
together, and only counts are stored: to treat them as independent makes this part too large. With one seed the
spread between seeds is missing, which can be larger than both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, hypot, sqrt
from statistics import mean, stdev

#: a difference of fewer standard errors may be chance: about one in twenty is, if there is no difference
SURE = 2.0
#: share of intervals that hold the true difference, all comparisons of a row together (Bonferroni)
CONFIDENCE = 0.95
#: with fewer, an interval of Student's t is so wide that it says nothing
FEWEST_SEEDS = 5


def standard_error(error_percent: float, seen: int) -> float:
    """Return the standard error, in points, of an error in percent on `seen` test samples (binomial).

    No error at all has the standard error of one wrong answer: no test set shows that a network never errs.
    """
    share = min(max(error_percent / 100, 1 / seen), 1 - 1 / seen)
    return 100 * sqrt(share * (1 - share) / seen)


def samples_of(points: float, seen: int) -> int:
    """Return the fewest of `seen` test samples that make so many points: 3 points are 11 of 360."""
    return ceil(round(points * seen / 100, 6))


@dataclass(frozen=True)
class Difference:
    """A method's error minus the baseline's, in points: the mean over the seeds that both have."""

    points: float
    test_error: float  # its standard error from the size of the test set, both errors taken as independent
    seed_error: float | None = None  # that of the mean of the paired differences; None with one seed
    seeds: int = 1

    @property
    def standard_error(self) -> float:
        """Return the standard error from both sources, in points."""
        return hypot(self.test_error, self.seed_error or 0.0)

    @property
    def is_sure(self) -> bool:
        """Return whether the difference is at least two standard errors."""
        return abs(self.points) >= SURE * self.standard_error

    def interval(self, comparisons: int) -> tuple[float, float] | None:
        """Return the interval of the difference over seeds (Student's t), in points; None if these are too few.

        It is wide enough for `comparisons` of such intervals to hold together with CONFIDENCE (Bonferroni).
        """
        if self.seed_error is None or self.seeds < FEWEST_SEEDS:
            return None
        from scipy.special import stdtrit  # imported here: a report must start fast

        level = 1 - (1 - CONFIDENCE) / (2 * comparisons)
        reach = float(stdtrit(self.seeds - 1, level)) * self.seed_error
        return self.points - reach, self.points + reach


def compare_errors(errors: Mapping[int, float], baseline: Mapping[int, float], seen: int) -> Difference | None:
    """Return the difference of two errors in percent, by seed; None if they have no seed in common."""
    seeds = [seed for seed in errors if seed in baseline]
    if not seeds:
        return None
    pairs = [errors[seed] - baseline[seed] for seed in seeds]
    both: Sequence[float] = [mean(side[seed] for seed in seeds) for side in (errors, baseline)]
    return Difference(
        points=round(mean(pairs), 6),
        test_error=hypot(*(standard_error(error, seen) for error in both)),
        seed_error=stdev(pairs) / sqrt(len(pairs)) if len(pairs) > 1 else None,
        seeds=len(pairs),
    )
