"""The paper's seven conclusions: the outcome on its own numbers, and what changes a verdict."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import small_study
from hypothesis import given, settings
from hypothesis import strategies as st
from test_agreement import filled

from asymbp_cli.conclusions import CONCLUSIONS, Judgement, Numbers, judge, our_numbers, paper_numbers
from asymbp_cli.methods import PAPER_METHODS
from asymbp_cli.tablespec import PAPER_ROWS

PAPER = paper_numbers()
BY_KEY = {one.conclusion.key: one for one in judge(PAPER)}
Errors = dict[tuple[str, str], float]


def judged(numbers: Numbers) -> dict[str, Judgement]:
    return {one.conclusion.key: one for one in judge(numbers)}


def changed(change: Callable[[Errors], object]) -> Numbers:
    errors = dict(PAPER.errors)
    change(errors)
    return replace(PAPER, errors=errors)


def test_the_papers_numbers_support_its_conclusions() -> None:
    assert [one.verdict for one in judge(PAPER)] == ["supported"] * 7
    assert [len(one.datasets) for one in judge(PAPER)] == [15] * 7


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("magnitudes of feedback", "lie 1.16 points apart (median of 15 datasets), at most 3.24 (on Flowers17)"),
        ("magnitudes of feedback", "uSF+BN+BM is less than 3 points worse than SGD on 15 of 15"),
        ("magnitudes of updates", "BM, BM2, BM3 lie 2.53 points apart (median of 6 datasets), at most 5.99"),
        ("magnitudes of updates", "BM is less than 3 points worse than SGD on 14 of 15"),
        ("BN or BM is needed", "uSF answers everything with one class on 14 of 15 (not on TIMIT80)"),
        ("BN or BM is needed", "remark: NuSF is worse than SGD by 3 points or more on 10 of 15"),
        ("signs matter", "brSF at 0 and 25 % opposite signs lies 3 points below 50, 75 and 100 % on 15 of 15"),
        ("signs matter", "frSF at 0 and 25 % opposite signs lies 3 points below 50, 75 and 100 % on 11 of 15"),
        ("signs matter", "remark: brSF errs less at 100 % than at 75 % on 15 of 15"),
        ("random feedback needs BN", "RndF+BN is better than RndF by 3 points or more on 12 of 15"),
        (
            "random feedback needs BN",
            "RndF errs less than a random guess on 15 of 15, by more than 20 points on 7",
        ),
        ("lower layers learn by signs", "better than RndF+BN+BM Bottom by 3 points or more on 15 of 15"),
        ("BM helps BN", "BN+BM is below BN on 10 of 15"),
        ("BM helps BN", "rank correlation +0.72 with the training set's size (15 datasets)"),
    ],
)
def test_what_the_papers_numbers_say(key: str, said: str) -> None:
    assert any(said in line for line in BY_KEY[key].evidence), BY_KEY[key].evidence


def add(points: float, *methods: str) -> Callable[[Errors], None]:
    def change(errors: Errors) -> None:
        for at in errors:
            if at[1] in methods:
                errors[at] += points

    return change


def swap(first: str, second: str) -> Callable[[Errors], None]:
    def change(errors: Errors) -> None:
        for dataset in {dataset for dataset, _ in errors}:
            if (dataset, first) in errors and (dataset, second) in errors:
                a, b = (dataset, first), (dataset, second)
                errors[a], errors[b] = errors[b], errors[a]

    return change


def gain_everywhere(errors: Errors) -> None:
    """Let BN+BM help most where training sets are large."""
    for dataset, count in PAPER.train_counts.items():
        errors[dataset, "BN+BM"] = errors[dataset, "BN"] - count / 1e4


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("magnitudes of feedback", add(4, "brSF+BN+BM")),
        ("magnitudes of feedback", add(30, "uSF+BN+BM", "brSF+BN+BM", "frSF+BN+BM")),
        ("magnitudes of updates", add(5, "BM2")),
        ("magnitudes of updates", add(3, "uSF+BN+BM3")),
        ("magnitudes of updates", add(8, "BM", "BM2", "BM3")),
        ("BN or BM is needed", swap("uSF+BM", "uSF")),
        ("signs matter", swap("frSF-25%+BN+BM", "frSF-50%+BN+BM")),
        ("random feedback needs BN", swap("RndF", "RndF+BN")),
        ("random feedback needs BN", add(-30, "RndF+BM")),
        ("lower layers learn by signs", swap("uSF+BN+BM Bottom", "RndF Bottom")),
        ("lower layers learn by signs", add(10, "uSF+BN+BM Bottom")),
        ("lower layers learn by signs", add(5, "SGD Top")),
        ("BM helps BN", swap("BN", "BN+BM")),
        ("BM helps BN", gain_everywhere),
    ],
)
def test_other_numbers_would_not_support_them(key: str, change: Callable[[Errors], None]) -> None:
    found = judged(changed(change))[key]
    assert found.verdict == "not supported"
    assert any(line.startswith("does not hold") for line in found.evidence)


def test_a_network_that_lives_would_not_support_them() -> None:
    found = judged(replace(PAPER, dead=frozenset()))["BN or BM is needed"]
    assert found.verdict == "not supported"


@pytest.mark.parametrize(
    ("key", "method"),
    [
        ("magnitudes of feedback", "frSF+BN+BM"),
        ("magnitudes of updates", "BM3"),
        ("magnitudes of updates", "uSF+BN+BM2"),
        ("BN or BM is needed", "uSF+BM"),
        ("signs matter", "brSF-75%+BN+BM"),
        ("random feedback needs BN", "RndF+BN"),
        ("lower layers learn by signs", "RndF+BN+BM Top"),
        ("BM helps BN", "BN+BM"),
    ],
)
def test_without_a_method_there_is_no_verdict(key: str, method: str) -> None:
    found = judged(changed(lambda errors: [errors.pop(at) for at in list(errors) if at[1] == method]))[key]
    assert found.verdict == "not enough runs"
    assert any("cannot be judged" in line and method in line for line in found.evidence)


def test_one_dataset_is_judged_by_itself() -> None:
    mnist = changed(lambda errors: [errors.pop(at) for at in list(errors) if at[0] != "MNIST"])
    found = judged(mnist)
    assert found["magnitudes of feedback"].verdict == "supported"
    assert found["signs matter"].verdict == "not supported"  # frSF: 0.91 against 1.37
    assert found["BM helps BN"].verdict == "not supported"  # 0.73 against 0.52
    assert not any("Wilcoxon" in line for one in found.values() for line in one.evidence)


@settings(max_examples=60, deadline=None)
@given(
    datasets=st.sets(st.sampled_from(sorted(PAPER_ROWS)), max_size=4),
    methods=st.sets(st.sampled_from(PAPER_METHODS), max_size=20),
)
def test_no_subset_of_cells_breaks_a_check_and_none_is_judged_from_nothing(
    datasets: set[str], methods: set[str]
) -> None:
    errors = {at: value for at, value in PAPER.errors.items() if at[0] in datasets and at[1] in methods}
    for one in judge(replace(PAPER, errors=errors)):
        assert (one.verdict == "not enough runs") or one.datasets
        assert set(one.datasets) <= {dataset for dataset, _ in errors}


def test_every_method_that_a_check_needs_is_one_of_the_papers() -> None:
    """A slip in a name would read as runs that are missing."""
    assert all(not line.startswith("cannot be judged") for one in judge(PAPER) for line in one.evidence)
    assert len({one.key for one in CONCLUSIONS}) == 7


def test_ours_are_the_finished_cells_and_collapsed_ones_are_dead() -> None:
    table = filled(1.0, None, 90.0, 4.0, 5.0)
    found = our_numbers([table], {"f": small_study.INFO})
    assert found.errors == {
        ("MNIST", "SGD"): 1.0,
        ("MNIST", "uSF"): 90.0,
        ("MNIST", "NuSF"): 4.0,
        ("MNIST", "uSF+BN+BM"): 5.0,
    }
    assert found.dead == frozenset()
    cells = tuple(replace(c, diverged=c.wanted) if i == 2 else c for i, c in enumerate(table.cells[0]))
    dead = our_numbers([replace(table, cells=(cells,))], {"f": small_study.INFO})
    assert dead.dead == {("MNIST", "uSF")}
    picks = tuple(replace(pick, collapsed=True) for pick in table.cells[0][3].picks)
    cells = tuple(replace(c, picks=picks) if i == 3 else c for i, c in enumerate(table.cells[0]))
    assert our_numbers([replace(table, cells=(cells,))], {}).dead == {("MNIST", "NuSF")}
    assert (found.chance, found.train_counts) == ({"MNIST": 90.0}, {"MNIST": 1437})
