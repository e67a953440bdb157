"""What overturns a verdict on the paper's own numbers, and what leaves it open."""

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_numbers import PAPER, TABLE_5_SETS, judged, with_errors, without

from asymbp_cli.analysis.conclusions import (
    CHECKS,
    Numbers,
    Verdict,
    judge,
)
from asymbp_cli.specs.methods import PAPER_METHODS

SIX = PAPER.datasets[:6]  # so many of 15 against a part overturn it; five do not

OVERTURNED = [
    ("magnitudes-of-feedback", {"brSF+BN+BM": 5.0}, SIX, "are alike"),
    ("magnitudes-of-feedback", {"uSF+BN+BM": "NuSF"}, PAPER.datasets, "uSF+BN+BM is like SGD"),
    ("magnitudes-of-feedback", {"brSF+BN+BM": "NuSF"}, PAPER.datasets, "brSF+BN+BM is like SGD"),
    ("magnitudes-of-feedback", {"frSF+BN+BM": "NuSF"}, PAPER.datasets, "frSF+BN+BM is like SGD"),
    ("magnitudes-of-updates", {"BM3": 3.0}, TABLE_5_SETS, "BM, BM2, BM3 are alike"),
    ("magnitudes-of-updates", {"uSF+BN+BM2": 3.0}, TABLE_5_SETS, "uSF+BN+BM2, uSF+BN+BM3 are alike"),
    ("magnitudes-of-updates", {"BM": "NuSF"}, PAPER.datasets, "BM is like SGD"),
    ("magnitudes-of-updates", {"BN+BM": "NuSF"}, PAPER.datasets, "BN+BM is like SGD"),
    ("normalization-needed", {"NuSF": -3.0}, ("Scene67", "PubFig83-ID", "SUFR-W-ID"), "NuSF is worse than SGD"),
    ("normalization-needed", {"uSF+BN": "NuSF"}, PAPER.datasets, "uSF+BN is like SGD"),
    ("normalization-needed", {"uSF+BM": 4.0}, PAPER.datasets, "uSF+BM is less than 3 points behind SGD"),
    ("signs-matter", {"brSF-75%+BN+BM": "brSF+BN+BM"}, SIX, "brSF errs less"),
    ("signs-matter", {"frSF-50%+BN+BM": "frSF-25%+BN+BM"}, SIX, "frSF errs less"),
    ("signs-matter", {"brSF-25%+BN+BM": "brSF-50%+BN+BM"}, SIX, "brSF errs less"),
    ("random-feedback-needs-bn", {"RndF+BN": "RndF"}, SIX, "RndF+BN is better"),
    ("random-feedback-needs-bn", {"RndF+BN+BM": "RndF+BM"}, SIX, "RndF+BN+BM is better"),
    ("frozen-last-layer", {"uSF+BN+BM Bottom": "RndF Bottom"}, SIX, "uSF+BN+BM Bottom is like"),
    ("frozen-last-layer", {"RndF Bottom": "SGD Bottom"}, SIX, "RndF Bottom hardly"),
    ("frozen-last-layer", {"RndF+BN+BM Bottom": "SGD Bottom"}, SIX, "RndF+BN+BM Bottom hardly"),
    ("frozen-last-layer", {"SGD Top": "SGD Bottom"}, PAPER.datasets, "are alike"),
    ("small-training-sets", {"BN+BM": "uSF+BM"}, PAPER.datasets, "often better than SGD"),
    ("small-training-sets", {"BN+BM": 2.0}, PAPER.datasets, "often better than BN"),
    ("small-training-sets", {"BN+BM": -20.0}, ("SVHN", "CIFAR100"), "the more BN+BM gains on BN"),
]


@pytest.mark.parametrize(("key", "changes", "on", "part"), OVERTURNED)
def test_a_plausible_change_overturns_it(
    key: str, changes: dict[str, float | str], on: tuple[str, ...], part: str
) -> None:
    found = judged(key, with_errors(changes, on))
    assert found.verdict == "not supported"
    assert found.reason.startswith("Does not hold: ")
    assert part in found.reason.split("Not borne out")[0]
    assert any(part in sentence and ": no, " in sentence for sentence in found.evidence)


def test_every_claimed_part_is_overturned_above() -> None:
    claimed = {(check.key, part.text) for check in CHECKS for part in check.parts if part.claimed}
    hit = {
        (key, says) for key, _, _, part in OVERTURNED for other, says in claimed if key == other and part in says
    }
    by_liveness = {says for _, says in claimed if "one class" in says}
    assert {says for _, says in claimed - hit} == by_liveness


def test_networks_that_live_or_die_overturn_it() -> None:
    alive = replace(PAPER, one_class=frozenset(cell for cell in PAPER.one_class if cell[0] not in SIX))
    assert "uSF answers every sample" in judged("normalization-needed", alive).reason
    dead = replace(PAPER, one_class=PAPER.one_class | {(at, "NuSF") for at in SIX})
    assert "NuSF answers with more" in judged("normalization-needed", dead).reason


def test_nothing_that_learns_supports_no_likeness() -> None:
    nothing = Numbers(
        errors={(at, method): 90.0 for at in ("a", "b") for method in PAPER_METHODS},
        one_class=frozenset((at, method) for at in ("a", "b") for method in PAPER_METHODS),
        chance={"a": 90.0, "b": 90.0},
    )
    assert {judgement.verdict for judgement in judge(nothing)} == {"not supported", "not enough runs"}
    undone = judged("magnitudes-of-feedback", nothing)
    assert all(": no, clear by count, on 0 of 2 datasets" in sentence for sentence in undone.evidence)


@pytest.mark.parametrize(
    ("key", "part", "method"),
    [
        (check.key, part.text, name)
        for check in CHECKS
        for part in check.parts
        if part.claimed
        for name in part.methods
    ],
)
def test_a_missing_method_leaves_it_open(key: str, part: str, method: str) -> None:
    found = judged(key, without(method))
    assert found.verdict == "not enough runs"
    assert found.reason.startswith("Missing: ")
    assert f"{method} on MNIST" in found.reason
    assert f"{part}: not enough runs" in found.evidence


def test_missing_remarks_leave_the_verdict() -> None:
    assert judged("random-feedback-needs-bn", without("SGD")).verdict == "supported"
    assert judged("small-training-sets", replace(PAPER, train_counts={})).verdict == "not enough runs"


def test_datasets_of_a_remark_alone_took_no_part() -> None:
    found = judged("random-feedback-needs-bn", without("RndF+BN", "RndF+BM"))
    assert found.evidence[2].startswith("remark: RndF hardly learns: it goes less than 25% of the way")
    assert (found.verdict, found.datasets) == ("not enough runs", ())


def test_a_refuted_part_outweighs_missing_ones() -> None:
    numbers = with_errors({"BM": 20.0})
    numbers = replace(numbers, errors={cell: e for cell, e in numbers.errors.items() if cell[1] != "BM2"})
    assert judged("magnitudes-of-updates", numbers).verdict == "not supported"


def test_nothing_at_all() -> None:
    found = judge(Numbers(errors={}, one_class=frozenset(), chance={}))
    assert {judgement.verdict for judgement in found} == {"not enough runs"}
    assert found[0].reason.startswith("Missing: uSF+BN+BM, brSF+BN+BM, frSF+BN+BM;")


@pytest.mark.parametrize("beside", ["chance", "train_counts"])
def test_facts_beside_the_errors_are_named_when_missing(beside: str) -> None:
    key, fact = {
        "chance": ("frozen-last-layer", "the error of a guess on MNIST"),
        "train_counts": ("small-training-sets", "the size of the training set on MNIST"),
    }[beside]
    found = judged(key, replace(PAPER, **{beside: {}}))  # type: ignore[arg-type]
    assert (found.verdict, fact in found.reason) == ("not enough runs", True)


def test_a_dataset_takes_part_only_with_all_of_its_cells() -> None:
    errors = {cell: e for cell, e in PAPER.errors.items() if cell != ("CIFAR", "brSF+BN+BM")}
    found = judged("magnitudes-of-feedback", replace(PAPER, errors=errors))
    assert "13 of 14 datasets (not Flowers17)" in found.evidence[0]
    assert "15 of 15 datasets" in found.evidence[1]
    assert "14 of 14 datasets" in found.evidence[2]


@settings(deadline=None)  # the first rank correlation loads scipy
@given(st.sets(st.sampled_from(sorted(PAPER.errors)), max_size=120), st.booleans())
def test_any_cells_are_judged_and_no_verdict_comes_from_none(cells: set[tuple[str, str]], besides: bool) -> None:
    chance = PAPER.chance if besides else {}
    counts = PAPER.train_counts if besides else {}
    numbers = Numbers({cell: PAPER.errors[cell] for cell in cells}, PAPER.one_class, chance, counts)
    for check, found in zip(CHECKS, judge(numbers), strict=True):
        whole = {
            at
            for part in check.parts
            for at in numbers.datasets
            if part.claimed and all((at, name) in cells for name in part.methods)
        }
        assert found.verdict in get_args(Verdict)
        assert len(found.evidence) == len(check.parts)
        assert found.reason
        assert set(found.datasets) <= whole
        if not found.datasets:
            assert found.verdict == "not enough runs"


@settings(deadline=None)  # the first rank correlation loads scipy
@given(st.sets(st.sampled_from(PAPER.datasets)), st.sets(st.sampled_from(PAPER_METHODS), min_size=20))
def test_whole_rows_and_columns(rows: set[str], columns: set[str]) -> None:
    errors = {cell: e for cell, e in PAPER.errors.items() if cell[0] in rows and cell[1] in columns}
    for check, found in zip(CHECKS, judge(replace(PAPER, errors=errors)), strict=True):
        needed = {name for part in check.parts if part.claimed for name in part.methods}
        if found.verdict == "supported":
            assert needed <= columns
        if not rows or not needed & columns:
            assert found.verdict == "not enough runs"
