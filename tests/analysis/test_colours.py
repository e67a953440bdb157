"""Colours of cells: the rule of three points, and when one rests on too few samples."""

import pytest
from sample_tables import make_epoch, make_grid

from asymbp_cli.analysis.cells import colour_of
from asymbp_cli.analysis.tables import fill_grid
from asymbp_cli.recipe.table import load_published, load_reference
from asymbp_cli.specs.methods import parse_method


def test_an_unfinished_cell_has_no_colour() -> None:
    grid = make_grid("SGD", "uSF")
    runs = [run for found in grid.columns for run in grid.runs(grid.rows[0], found)]
    epochs = {run.id: [make_epoch(run.id, 1, 10 if run.method == parse_method("SGD") else 500)] for run in runs}
    done = {run.id: "finished" for run in runs}
    assert [cell.colour for cell in fill_grid(grid, epochs, done, {}).cells[0]] == [None, "worse"]
    for missing in runs:  # of the cell, or of the baseline
        some = {run_id: state for run_id, state in done.items() if run_id != missing.id}
        assert [cell.colour for cell in fill_grid(grid, epochs, some, {}).cells[0]] == [None, None]


@pytest.mark.parametrize(
    ("error", "baseline", "expected"),
    [(3.67, 0.67, "worse"), (3.66, 0.67, None), (0.67, 3.67, "better"), (1.0, None, None), (None, 1.0, None)],
)
def test_colours_follow_the_three_point_rule(
    error: float | None, baseline: float | None, expected: str | None
) -> None:
    assert colour_of(error, baseline) == expected


@pytest.mark.parametrize(
    ("wrong", "colour", "hollow"),
    [(60, "worse", False), (30, "worse", True), (25, None, False), (10, "better", True)],
)
def test_a_colour_of_less_than_two_standard_errors_is_hollow(wrong: int, colour: str | None, hollow: bool) -> None:
    grid = make_grid("SGD", "uSF")
    runs = [(run, column.header) for column in grid.columns for run in grid.runs(grid.rows[0], column)]
    epochs = {
        run.id: [make_epoch(run.id, 1, wrong if header == "uSF" else 20, test_seen=300)] for run, header in runs
    }
    cell = fill_grid(grid, epochs, {run.id: "finished" for run, _ in runs}, {}).cells[0][1]
    assert (cell.colour, cell.hollow) == (colour, hollow)


def test_a_colour_is_hollow_if_the_mean_over_seeds_is_surely_in_the_other_direction() -> None:
    """Medians 10 and 7 %, means 6 and 15.8 %: two seeds of the baseline failed."""
    grid = make_grid("SGD", "uSF").model_copy(update={"seeds": tuple(range(5))})
    wrong = {"uSF": (1000, 1000, 1000, 0, 0), "SGD": (700, 3000, 3000, 600, 600)}
    epochs = {
        run.id: [make_epoch(run.id, 1, wrong[column.header][run.seed], test_seen=10_000)]
        for column in grid.columns
        for run in grid.runs(grid.rows[0], column)
    }
    cell = fill_grid(grid, epochs, dict.fromkeys(epochs, "finished"), {}).cells[0][1]
    assert cell.difference is not None
    assert (cell.difference.points, cell.difference.is_sure) == (-9.8, True)
    assert (cell.colour, cell.hollow) == ("worse", True)


def test_colours_of_the_paper_that_rest_on_few_images_are_hollow() -> None:
    """Flowers17 has 340 test images: two standard errors of a difference are 7 points at 35 %."""
    grid = make_grid("SGD", "NuSF", "uSF")
    row = grid.rows[0].model_copy(update={"paper_name": "Flowers17"})
    grid = grid.model_copy(update={"rows": (row,)})
    cells = fill_grid(grid, {}, {}, load_published()).cells[0]
    assert [cell.paper for cell in cells] == [35.29, 42.65, 94.12]
    assert [cell.paper_colour for cell in cells] == [None, "worse", "worse"]
    assert [cell.paper_hollow for cell in cells] == [False, True, False]


def test_colours_of_the_papers_own_table_tell_its_story() -> None:
    numbers = load_reference("table2.csv")
    rows = list(dict.fromkeys(row for row, _ in numbers))
    usf = [colour_of(numbers[row, "uSF"], numbers[row, "SGD"]) for row in rows]
    assert len(rows) == 15
    assert usf.count("worse") == 14
    nusf = [colour_of(numbers[row, "NuSF"], numbers[row, "SGD"]) for row in rows]
    assert nusf.count("worse") == 10
