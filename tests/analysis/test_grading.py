"""Grades: what one dataset more or fewer, another level of p, or two standard errors would change."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asymbp_cli.analysis.conclusions import judge, load_paper_numbers
from asymbp_cli.analysis.conclusions.grading import Tally, grade_level, grade_tally, required_count
from asymbp_cli.report.listings import format_verdict

NAMES = tuple("abcdefghijklmno")


@given(st.integers(1, 15), st.integers(0, 15), st.sampled_from([(1, 3), (2, 3)]))
def test_a_tally_is_clear_if_no_neighbour_of_its_threshold_says_otherwise(
    count: int, held: int, share: tuple[int, int]
) -> None:
    """Against exact fractions: the share that one dataset more or fewer would require."""
    held = min(held, count)
    exact = Fraction(*share)
    least = next(n for n in range(count + 1) if Fraction(n, count) >= exact)
    answers = [held >= needed for needed in (least - 1, least, least + 1) if 1 <= needed <= count]
    found = grade_tally(Tally(NAMES[:count], NAMES[:held]), share[0] / share[1])
    assert required_count(share[0] / share[1], count) == least
    assert (found.outcome, found.is_clear) == ("yes" if held >= least else "no", len(set(answers)) == 1)
    assert found.count.startswith(f"{held} of {count} datasets, {least} required") == (count > 1)


def test_ten_of_fifteen_stand_on_the_threshold() -> None:
    found = grade_tally(Tally(NAMES, NAMES[:10]), 2 / 3)
    assert (found.outcome, found.grade) == ("yes", "on the threshold")
    assert found.count == "10 of 15 datasets, 10 required (with 9: yes, with 11: no)"
    assert found.where == "10 of 15 datasets (not k, l, m, n, o)"
    assert grade_tally(Tally(NAMES, NAMES[:11]), 2 / 3).grade == "clear by count"
    assert grade_tally(Tally(NAMES, NAMES[:9]), 2 / 3).grade == "on the threshold"
    close = grade_tally(Tally(NAMES, NAMES, unsure=NAMES[:9]), 2 / 3)  # a count hides how close they are
    assert close.count.endswith("(with 9: yes, with 11: yes); 9 within two standard errors of 3 points")
    assert grade_tally(Tally(NAMES, NAMES[:8]), 2 / 3).grade == "clear by count"


def test_one_dataset_is_never_clear() -> None:
    assert grade_tally(Tally(("a",), ("a",)), 2 / 3).grade == "on this dataset"
    unsure = grade_tally(Tally(("a",), (), unsure=("a",)), 2 / 3)
    assert (unsure.outcome, unsure.grade, unsure.count) == ("no", "on the threshold", "")
    assert unsure.detail == "within two standard errors of 3 points"


def test_what_can_hardly_fail_is_open_unless_another_dataset_tells() -> None:
    found = grade_tally(Tally(("a", "b"), ("a", "b"), too_small=("a", "b")), 2 / 3)
    assert (found.outcome, found.grade) == ("cannot be told at this size of error", "open")
    found = grade_tally(Tally(("a", "b"), ("a", "b"), too_small=("a",)), 2 / 3)
    assert (found.outcome, found.grade) == ("yes", "clear by count")
    assert "errors too small to tell on a" in found.detail


@pytest.mark.parametrize(
    ("p", "outcome", "grade"),
    [
        (0.001, "yes", "clear by p"),
        (0.02, "yes", "on the threshold"),
        (0.052, "no", "on the threshold"),
        (0.3, "no", "clear by p"),
    ],
)
def test_levels_of_p_have_neighbours_too(p: float, outcome: str, grade: str) -> None:
    found = grade_level(p, 15, "")
    assert (found.outcome, found.grade) == (outcome, grade)
    assert found.count.startswith("15 datasets, p < 0.05 required (with 0.01: ")


def test_a_verdict_says_on_how_many_datasets_it_rests() -> None:
    judgement = judge(load_paper_numbers())[0]
    assert format_verdict(judgement) == f"{judgement.verdict}, {judgement.grade}: {judgement.count}"
    assert format_verdict(replace(judgement, grade="open", count="", verdict="not enough runs")) == (
        "open, not enough runs, on 15 datasets"
    )
    assert format_verdict(replace(judgement, datasets=())) == f"{judgement.verdict}, {judgement.grade}"
