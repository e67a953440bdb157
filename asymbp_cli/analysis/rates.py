"""The error of a cell at each of its learning rates: what the rule selected from."""

from collections.abc import Iterable
from dataclasses import dataclass

from asymbp_cli.analysis.cells import Cell, Trained, median_percent


@dataclass(frozen=True)
class RateOutcome:
    """The runs of a cell at one rate by one procedure, in its order among those of the column."""

    procedure: int
    rate_multiplier: float
    errors: tuple[float, ...]  # in percent, of each seed, lowest first
    selected: int  # of these seeds: those whose number in the cell is from this rate
    diverged: int  # of these seeds: those whose run diverged
    collapsed: int  # of these seeds: those whose selected epoch answers everything with one class
    median_percent: float

    @property
    def dead(self) -> bool:
        """Return whether any of its runs diverged or collapsed."""
        return self.diverged + self.collapsed > 0


def list_rates(cell: Cell) -> list[RateOutcome]:
    """Return the outcome of each rate, by procedure, from the lowest rate to the highest."""
    groups: dict[tuple[int, float], list[Trained]] = {}
    for one in cell.trained:
        groups.setdefault((one.procedure, one.rate_multiplier), []).append(one)
    selected = {pick.run for pick in cell.picks}
    return [_sum_up(*key, groups[key], selected) for key in sorted(groups)]


def lowest_by_rate(cell: Cell) -> list[RateOutcome]:
    """Return the outcome of each rate: of several procedures the one that was selected there, or the better."""
    lowest: dict[float, RateOutcome] = {}
    for one in list_rates(cell):
        known = lowest.get(one.rate_multiplier)
        if known is None or (-one.selected, one.median_percent) < (-known.selected, known.median_percent):
            lowest[one.rate_multiplier] = one
    return [lowest[rate] for rate in sorted(lowest)]


def _sum_up(procedure: int, rate: float, runs: Iterable[Trained], selected: set[str]) -> RateOutcome:
    runs = list(runs)
    return RateOutcome(
        procedure=procedure,
        rate_multiplier=rate,
        errors=tuple(sorted(one.error_percent for one in runs)),
        selected=sum(one.run in selected for one in runs),
        diverged=sum(one.diverged for one in runs),
        collapsed=sum(one.collapsed for one in runs),
        median_percent=median_percent([one.wrong for one in runs], runs[0].seen),
    )
