"""How a cell is written in all formats."""

from fractions import Fraction

import pytest
import sample_document as sample
from hypothesis import given
from hypothesis import strategies as st
from sample_tables import METHODS, PAPER, make_epoch, make_grid

from asymbp_cli.analysis.cells import Cell, Pick
from asymbp_cli.analysis.rates import list_rates
from asymbp_cli.analysis.tables import fill_grid
from asymbp_cli.report.cells import is_best
from asymbp_cli.report.listings import list_differences
from asymbp_cli.report.records import round_value


def test_a_cell_that_is_not_finished_is_not_the_best_though_it_is_the_lowest() -> None:
    low, finished, tied = sample.cell(50, ended=4), sample.cell(70), sample.cell(70)
    row = (low, finished, sample.cell(90), tied, sample.MISSING)
    assert [is_best(cell, row) for cell in row] == [False, True, False, True, False]
    assert not is_best(low, (low,))


def make_cell(wrong: tuple[int, ...], seen: int) -> Cell:
    picks = tuple(Pick(seed, f"{seed}", 1.0, 1, one, seen, False, 2, one) for seed, one in enumerate(wrong))
    return Cell(picks, ended=len(wrong), wanted=len(wrong))


@given(st.sampled_from([360, 340, 800, 10_000]), st.integers(0, 40), st.integers(0, 40))
def test_medians_of_an_even_number_of_seeds_are_exact_so_that_equal_ones_are_both_best(
    seen: int, middle: int, far: int
) -> None:
    cells = make_cell((middle, middle + 2 * far), seen), make_cell((middle + far,) * 2, seen)
    exact = float(Fraction(100 * (middle + far), seen))
    assert [cell.error_percent for cell in cells] == [cell.last_percent for cell in cells] == [exact] * 2
    assert all(is_best(cell, cells) for cell in cells)


def test_the_medians_of_rates_are_those_of_cells() -> None:
    grid = make_grid("SGD", rate_multipliers=[1.0]).model_copy(update={"seeds": (0, 1)})
    wrong = (3, 9)  # of 360 samples: percentages would add up to another last digit than 6 of 360
    epochs = {run: [make_epoch(run, 1, wrong[spec.seed], test_seen=360)] for run, spec in grid.all_runs().items()}
    ((cell,),) = fill_grid(grid, epochs, dict.fromkeys(epochs, "finished"), {}).cells
    assert [one.median_percent for one in list_rates(cell)] == [cell.error_percent] == [100 * 6 / 360]


@pytest.mark.parametrize(("wrong", "text"), [(998, "-0.20"), (1000, "+0.00"), (1002, "+0.20")])
def test_a_difference_that_rounds_to_nothing_has_no_minus(wrong: int, text: str) -> None:
    grid = make_grid(*METHODS)
    epochs = {run: [make_epoch(run, 1, wrong)] for run in grid.all_runs()}
    paper = PAPER | {("MNIST", "SGD"): 100.001}
    (listing,) = list_differences(fill_grid(grid, epochs, dict.fromkeys(epochs, "finished"), paper))
    assert listing.rows[0][1] == text


def test_a_number_of_a_record_that_rounds_to_nothing_has_no_minus() -> None:
    found = [f"{round_value(value)}" for value in (-1e-15, -0.0, -0.00006, None)]
    assert found == ["0.0", "0.0", "-0.0001", "None"]
