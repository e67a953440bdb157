"""A cell of a table: what was picked, how sure it is, and its colour next to the baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from asymbp_cli.analysis.uncertainty import Difference, standard_error

Colour = Literal["worse", "better"]
POINTS = 3.0  # section 5: yellow is worse than SGD by 3 points or more, blue better by 3 or more


def median_percent(wrong: Sequence[int], seen: int) -> float:
    """Return the median error of several seeds in percent, from their wrong answers on one test set.

    Of counts it is exact: the median of percentages may miss an equal one in its last digit.
    """
    return 100 * median(wrong) / seen


@dataclass(frozen=True)
class Pick:
    """The epoch that the rule selects among all runs of one seed: `wrong` of `seen` test samples."""

    seed: int
    run: str
    rate_multiplier: float
    epoch: int
    wrong: int
    seen: int
    collapsed: bool  # this epoch answers everything with one class
    last_epoch: int = 0  # the last one of that run so far; 0: not known
    last_wrong: int = 0  # in that epoch, of `seen`
    held_out: int = 0  # samples that it was picked on; 0: on the test set

    @property
    def error_percent(self) -> float:
        """Return the test error in percent."""
        return 100 * self.wrong / self.seen

    @property
    def last_percent(self) -> float:
        """Return the test error of the same run in its last epoch, in percent."""
        return 100 * self.last_wrong / self.seen


@dataclass(frozen=True)
class Trained:
    """One run of a cell, at the epoch that the rule selects in it: `wrong` of `seen` test samples."""

    run: str
    seed: int
    procedure: int  # its place among those of the column
    rate_multiplier: float
    epoch: int
    wrong: int
    seen: int
    collapsed: bool  # this epoch answers everything with one class
    diverged: bool

    @property
    def error_percent(self) -> float:
        """Return the test error in percent."""
        return 100 * self.wrong / self.seen


@dataclass(frozen=True)
class Cell:
    """One number of a table: the median over seeds of what the rule selects for each seed.

    Without any stored epoch there are no picks, and `reason` says why.
    """

    picks: tuple[Pick, ...] = ()  # one per seed, best first
    ended: int = 0  # finished runs, diverged ones included
    wanted: int = 0  # runs that the cell needs
    diverged: int = 0  # of the finished runs
    paper: float | None = None  # the paper's error in percent
    colour: Colour | None = None  # against this row's baseline
    paper_colour: Colour | None = None
    reason: str = ""
    difference: Difference | None = None  # to this row's baseline; of complete cells
    paper_difference: Difference | None = None
    rule_difference: float | None = None  # error under the held-out rule minus this one, in points, if it was run
    trained: tuple[Trained, ...] = ()  # all runs that have an epoch
    command: str = ""  # what to type to train this cell alone

    @property
    def error_percent(self) -> float | None:
        """Return the test error in percent: with several seeds, their median."""
        return median_percent([pick.wrong for pick in self.picks], self.picks[0].seen) if self.picks else None

    @property
    def errors_by_seed(self) -> dict[int, float]:
        """Return the test error of each seed, in percent."""
        return {pick.seed: pick.error_percent for pick in self.picks}

    @property
    def standard_error(self) -> float | None:
        """Return the standard error of the test error, in points: binomial, from the size of the test set."""
        return standard_error(self.error_percent or 0.0, self.picks[0].seen) if self.picks else None

    @property
    def last_percent(self) -> float | None:
        """Return the test error in the last epoch of the picked runs: with several seeds, the median.

        None if these are the picked epochs, or if they are not known.
        """
        if all(pick.last_epoch in (0, pick.epoch) for pick in self.picks):
            return None
        return median_percent([pick.last_wrong for pick in self.picks], self.picks[0].seen)

    @property
    def hollow(self) -> bool:
        """Return whether the colour rests on a difference of less than two standard errors."""
        return _is_hollow(self.colour, self.difference)

    @property
    def paper_hollow(self) -> bool:
        """Return whether the paper's colour rests on a difference of less than two standard errors."""
        return _is_hollow(self.paper_colour, self.paper_difference)

    @property
    def range_percent(self) -> tuple[float, float] | None:
        """Return the lowest and the highest error over seeds; None with fewer than two."""
        if len(self.picks) < 2:
            return None
        return self.picks[0].error_percent, self.picks[-1].error_percent

    @property
    def pick(self) -> Pick | None:
        """Return the pick of the median seed; if two are in the middle, the better one."""
        return self.picks[(len(self.picks) - 1) // 2] if self.picks else None

    @property
    def middle(self) -> tuple[Pick, ...]:
        """Return the picks that the number is made of: that of the median seed, or both in the middle."""
        return self.picks[(len(self.picks) - 1) // 2 : len(self.picks) // 2 + 1]

    @property
    def collapsed(self) -> bool:
        """Return whether the number is made of an epoch that answers everything with one class."""
        return any(pick.collapsed for pick in self.middle)

    @property
    def complete(self) -> bool:
        """Return whether all runs of the cell have finished."""
        return self.wanted > 0 and self.ended == self.wanted


def colour_of(error: float | None, baseline: float | None) -> Colour | None:
    """Return the colour of an error (percent) next to the baseline's, by the 3-point rule."""
    if error is None or baseline is None:
        return None
    difference = round(error - baseline, 6)
    if difference >= POINTS:
        return "worse"
    return "better" if difference <= -POINTS else None


def _is_hollow(colour: Colour | None, difference: Difference | None) -> bool:
    """Return whether a difference that is known does not bear a colour out.

    A colour compares medians and a difference is a mean over seeds: in a few seeds that failed it may be the other
    way round.
    """
    if colour is None or difference is None:
        return False
    return not difference.is_sure or (difference.points > 0) != (colour == "worse")
