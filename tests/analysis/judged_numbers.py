"""The paper's numbers, also changed, and the verdicts on them."""

from collections.abc import Mapping
from dataclasses import replace

from asymbp_cli.analysis.conclusions import (
    CHECKS,
    Judgement,
    Numbers,
    judge,
    load_paper_numbers,
)

PAPER = load_paper_numbers()

KEYS = [check.key for check in CHECKS]

TABLE_5_SETS = ("MNIST", "CIFAR", "CIFAR100", "SVHN", "STL10", "Cal101")


def judged(key: str, numbers: Numbers = PAPER) -> Judgement:
    return next(judgement for judgement in judge(numbers) if judgement.key == key)


def with_errors(changes: Mapping[str, float | str], on: tuple[str, ...] = PAPER.datasets) -> Numbers:
    """Return the paper's numbers with other errors: a method's, plus so many points, or another method's."""
    errors = dict(PAPER.errors)
    for method, change in changes.items():
        for at in on:
            if (at, method) in errors:
                errors[at, method] = (
                    PAPER.errors[at, change] if isinstance(change, str) else errors[at, method] + change
                )
    return replace(PAPER, errors=errors)


def without(*methods: str) -> Numbers:
    return replace(PAPER, errors={cell: e for cell, e in PAPER.errors.items() if cell[1] not in methods})
