"""Differences next to the 3 points: between which methods they are, and where they say little."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from asymbp_cli.analysis.cells import POINTS, colour_of
from asymbp_cli.analysis.conclusions.numbers import Numbers
from asymbp_cli.analysis.uncertainty import SURE


class Gap(NamedTuple):
    """A difference that is compared with 3 points, and the methods between which it is."""

    points: float
    methods: tuple[str, str]


def widest_gap(numbers: Numbers, methods: Sequence[str], dataset: str) -> Gap:
    """Return the gap between the worst of the methods and the best."""
    best, *_, worst = sorted(methods, key=lambda method: numbers.errors[dataset, method])
    return Gap(numbers.difference(worst, best, dataset), (worst, best))


def sign_gap(numbers: Numbers, methods: Sequence[str], dataset: str) -> Gap:
    """Return the gap from the worse of 0 and 25 % opposite signs up to the best of the higher shares."""
    concordant = max(methods[:2], key=lambda method: numbers.errors[dataset, method])
    opposite = min(methods[2:], key=lambda method: numbers.errors[dataset, method])
    return Gap(numbers.difference(opposite, concordant, dataset), (opposite, concordant))


def find_too_small(numbers: Numbers, compared: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the datasets on which all errors are within 3 points of each other and the lowest is below 3 %.

    `compared` holds by dataset the methods between which the 3 points decide.
    """
    errors = {at: [numbers.errors[at, method] for method in methods] for at, methods in compared.items()}
    return tuple(at for at, row in errors.items() if min(row) < POINTS and colour_of(max(row), min(row)) is None)


def find_unsure(numbers: Numbers, gaps: Mapping[str, Gap]) -> tuple[str, ...]:
    """Return the datasets whose gap is within two standard errors of 3 points; none if these are not known."""
    errors = {at: numbers.standard_error(at, gap.methods) for at, gap in gaps.items()}
    return tuple(
        at for at, gap in gaps.items() if (error := errors[at]) and abs(gap.points - POINTS) < SURE * error
    )
