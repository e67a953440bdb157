"""The seven conclusions of the paper, each judged on a set of errors: first on the paper's own, then on ours.

A claim is supported if all of its parts hold (see `parts` for what that means), not supported if one does not;
otherwise runs are missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from asymbp_cli.conclusions.parts import (
    BN_BM,
    Numbers,
    Part,
    alike,
    below_chance,
    better,
    dies,
    most_on_small_sets,
    not_monotone,
    not_worse,
    often_lower,
    signs_matter,
    tells_three_points,
)
from asymbp_cli.datasets.info import DataInfo
from asymbp_cli.tables import FilledGrid
from asymbp_cli.tablespec import published

Verdict = Literal["supported", "not supported", "not enough runs"]

#: (classes, training samples) of the paper's datasets, section 5; iCub's count is that of its published splits
_PAPER_SETS = {
    **{"MNIST": (10, 60_000), "CIFAR": (10, 50_000), "CIFAR100": (100, 50_000), "SVHN": (10, 73_257)},
    **{"STL10": (10, 5000), "Cal101": (102, 3060), "Cal256-101": (102, 3060), "iCub": (10, 6000)},
    **{"Flowers17": (17, 680), "Flowers102": (102, 1020), "PubFig83-ID": (80, 6800), "SUFR-W-ID": (80, 800)},
    **{"LFW-ID": (80, 800), "Scene67": (67, 5360), "TIMIT80": (80, 32_000)},
}
#: error in percent of answering the most frequent class of training, where test sets are not balanced: 1,135 of
#: MNIST's 10,000 and 5,099 of SVHN's 26,032 test images are the digit 1
_ONE_CLASS = {"MNIST": 88.65, "SVHN": 80.41}
_ROUNDING = 0.1  # how far the others' printed error may lie below a random guess's: 98.95 of 102 classes in Cal101


@dataclass(frozen=True)
class Conclusion:
    """A claim of the paper, with the table it stands on, and its parts."""

    key: str
    claim: str
    table: str
    parts: tuple[Callable[[Numbers], Part], ...]
    remarks: tuple[Callable[[Numbers], str], ...] = ()  # told beside the parts, no part of the verdict


@dataclass(frozen=True)
class Judgement:
    """A conclusion's verdict on a set of numbers."""

    conclusion: Conclusion
    verdict: Verdict
    datasets: tuple[str, ...]
    evidence: tuple[str, ...]


def judge(numbers: Numbers) -> tuple[Judgement, ...]:
    """Return the verdict on each conclusion, in the paper's order."""
    return tuple(_judged(conclusion, numbers) for conclusion in CONCLUSIONS)


def _judged(conclusion: Conclusion, numbers: Numbers) -> Judgement:
    parts = [part(numbers) for part in conclusion.parts]
    held = [part.holds for part in parts]
    verdict: Verdict = "supported"
    if False in held:
        verdict = "not supported"
    elif None in held:
        verdict = "not enough runs"
    words = {True: "holds", False: "does not hold", None: "cannot be judged"}
    evidence = [f"{words[part.holds]}: {part.evidence}" for part in parts]
    evidence += [f"remark: {text}" for remark in conclusion.remarks if (text := remark(numbers))]
    seen = dict.fromkeys(name for part in parts for name in part.datasets)
    return Judgement(conclusion, verdict, tuple(seen), tuple(evidence))


@cache
def paper_numbers() -> Numbers:
    """Return the paper's own errors. It does not say which networks are dead; the errors that it prints do."""
    errors = published()
    chance = {name: 100 * (1 - 1 / classes) for name, (classes, _) in _PAPER_SETS.items()}
    dead = {at for at, error in errors.items() if error >= _ONE_CLASS.get(at[0], chance[at[0]]) - _ROUNDING}
    return Numbers(errors, frozenset(dead), chance, {name: count for name, (_, count) in _PAPER_SETS.items()})


def our_numbers(tables: Sequence[FilledGrid], infos: Mapping[str, DataInfo]) -> Numbers:
    """Return the errors of all finished cells of `tables`, which share a protocol; `infos` by fingerprint."""
    errors: dict[tuple[str, str], float] = {}
    dead: set[tuple[str, str]] = set()
    for filled in tables:
        for row, cells in zip(filled.grid.rows, filled.cells, strict=True):
            for column, cell in zip(filled.grid.columns, cells, strict=True):
                if cell.complete and cell.error_percent is not None and column.paper_name:
                    errors[row.label, column.paper_name] = cell.error_percent
                    if cell.collapsed or cell.diverged == cell.wanted:
                        dead.add((row.label, column.paper_name))
    rows = [(row.label, row.dataset) for filled in tables for row in filled.grid.rows]
    used = {label: infos[dataset] for label, dataset in rows if dataset and dataset in infos}
    chance = {label: 100 * (1 - 1 / len(info.classes)) for label, info in used.items()}
    return Numbers(errors, frozenset(dead), chance, {label: info.train_count for label, info in used.items()})


SAME = (f"uSF{BN_BM}", f"brSF{BN_BM}", f"frSF{BN_BM}")
_TOP = tuple(f"{name} Top" for name in ("SGD", "RndF", f"RndF{BN_BM}", f"uSF{BN_BM}"))

#: the claims in our words; paper, sections 5 and 6
CONCLUSIONS = (
    Conclusion(
        key="magnitudes of feedback",
        claim="The magnitudes of feedback weights do not matter: with BN and BM, uSF, brSF and frSF are alike, "
        "and like SGD or better.",
        table="2",
        parts=(alike(*SAME), *(not_worse(method, "SGD") for method in SAME)),
    ),
    Conclusion(
        key="magnitudes of updates",
        claim="The magnitudes of updates do not matter: settings 1 to 3 of Batch Manhattan are alike, and BM with "
        "or without BN is near SGD.",
        table="2 and 5",
        parts=(
            alike("BM", "BM2", "BM3"),
            alike("uSF+BN+BM", "uSF+BN+BM2", "uSF+BN+BM3"),
            not_worse("BM", "SGD"),
            not_worse("BN+BM", "SGD"),
        ),
    ),
    Conclusion(
        key="BN or BM is needed",
        claim="Sign-concordant feedback needs BN or BM: alone, with unit magnitudes, it fails.",
        table="2",
        parts=(dies("uSF"), *(better(method, "uSF") for method in ("uSF+BN", "uSF+BM", "uSF+BN+BM"))),
        remarks=(tells_three_points("NuSF", "SGD"),),
    ),
    Conclusion(
        key="signs matter",
        claim="The signs of feedback weights matter: errors at 0 and 25 % opposite signs lie far below those at "
        "50 to 100 %.",
        table="3",
        parts=(signs_matter("brSF"), signs_matter("frSF")),
        remarks=(not_monotone("brSF"), not_monotone("frSF")),
    ),
    Conclusion(
        key="random feedback needs BN",
        claim="Fixed random feedback needs BN: with it the error is far lower than without.",
        table="4 (C1)",
        parts=(better("RndF+BN", "RndF"), better(f"RndF{BN_BM}", "RndF+BM")),
        remarks=(below_chance("RndF"), below_chance("RndF+BM")),
    ),
    Conclusion(
        key="lower layers learn by signs",
        claim="With a frozen last layer, sign-concordant feedback still learns and random feedback hardly does; "
        "with only the last layer trained, all are alike.",
        table="4 (C2)",
        parts=(
            not_worse(f"uSF{BN_BM} Bottom", "SGD Bottom"),
            better(f"uSF{BN_BM} Bottom", "RndF Bottom"),
            better(f"uSF{BN_BM} Bottom", f"RndF{BN_BM} Bottom"),
            alike(*_TOP),
        ),
    ),
    Conclusion(
        key="BM helps BN",
        claim="BM with BN often helps, most on small training sets.",
        table="2",
        parts=(often_lower("BN+BM", "BN"), most_on_small_sets("BN+BM", "BN")),
    ),
)
