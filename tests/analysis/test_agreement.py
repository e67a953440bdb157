"""How close tables come to the paper's: counts of cells, colours, ranks."""

from dataclasses import replace

import pytest
from sample_tables import PAPER, filled, make_epoch, train_last_column_longer

from asymbp_cli.analysis.agreement import (
    Agreement,
    Conditions,
    correlate_rows,
    deduplicate,
    pair_cells,
    rank_correlation,
)
from asymbp_cli.analysis.tables import fill_grid
from asymbp_cli.report.assemble import list_protocols
from asymbp_cli.report.listings import tell_titles_apart
from asymbp_cli.specs.methods import method_name
from asymbp_cli.specs.protocol import Protocol


def test_cells_count_by_distance_and_colour() -> None:
    found = pair_cells(filled(1.0, 3.0, 5.1, 7.0, 89.0))
    assert [round(one.points, 6) for one in found] == [0, 1, 2.1, 3, -1]
    counted = Agreement.of(found)
    assert (counted.cells, counted.within) == (5, (3, 3, 5))
    # ours: none, worse, worse, worse beside the baseline; the paper's: none, none, worse (by exactly 3), worse
    assert [one.cell.colour for one in found[1:]] == [None, "worse", "worse", "worse"]
    assert [one.cell.paper_colour for one in found[1:]] == [None, None, "worse", "worse"]
    assert (counted.same_colour, counted.coloured) == (3, 4)  # the baseline itself has none


def test_unfinished_cells_do_not_count_nor_colours_without_a_baseline() -> None:
    found = pair_cells(filled(1.0, None, 3.0, None, None))
    assert [one.cell.paper for one in found] == [1.0, 3.0]
    without = Agreement.of(pair_cells(filled(None, 2.0, 3.0, None, None)))
    assert (without.cells, without.coloured) == (2, 0)
    assert pair_cells(filled(None, None, None, None, None)) == []


def test_a_cell_of_two_tables_counts_once_and_each_protocol_apart() -> None:
    twice = [*pair_cells(filled(1, 2, 3, 4, 90)), *pair_cells(filled(1, 2, 3, 4, 90))]
    assert len(deduplicate(twice)) == 5
    assert len(deduplicate([*twice, *pair_cells(filled(1, 2, 3, 4, 90, label="paper"))])) == 10


def test_a_copy_keeps_its_mark() -> None:
    assert {one.row.exact for one in pair_cells(filled(1, 2, 3, 4, 90, exact=False))} == {False}


@pytest.mark.parametrize(
    ("ours", "papers", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 40], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 2, 4], [1, 2, 3, 4], 0.9486833),  # ties share their rank
        ([1, 2, 3], [1, 2, 3], None),
        ([1, 1, 1, 1], [1, 2, 3, 4], None),
    ],
)
def test_rank_correlation(ours: list[float], papers: list[float], expected: float | None) -> None:
    found = rank_correlation(ours, papers)
    assert found == (None if expected is None else pytest.approx(expected))


def test_rank_correlation_against_scipy() -> None:
    from scipy.stats import spearmanr

    ours, papers = [3.1, 0.2, 5.5, 5.5, 9.0, 1.0], [1.0, 1.0, 7.5, 2.0, 3.0, 4.0]
    assert rank_correlation(ours, papers) == pytest.approx(spearmanr(ours, papers).statistic)


def test_each_row_has_its_correlation() -> None:
    assert correlate_rows(filled(1, 2, 3, 4, 90)) == {"MNIST": pytest.approx(1.0)}
    assert correlate_rows(filled(1, 2, 3, None, None)) == {"MNIST": None}


def test_tables_of_other_seeds_are_other_cells() -> None:
    first = filled(1, 2, 3, 4, 5)
    other = replace(first, grid=first.grid.model_copy(update={"seeds": (7,)}))
    assert len(deduplicate([*pair_cells(first), *pair_cells(other)])) == 2 * len(pair_cells(first))
    assert len(deduplicate([*pair_cells(first), *pair_cells(first)])) == len(pair_cells(first))


def test_tables_of_two_versions_of_a_plugin_are_other_cells() -> None:
    """Their protocols have one label, which does not say the version."""
    table = filled(1, 2, 3, 4, 5)
    bases = [Protocol(initialization=f"mine@{digit * 16}") for digit in "12"]
    first, other = (replace(table, grid=table.grid.model_copy(update={"base": base})) for base in bases)
    assert len(deduplicate([*pair_cells(first), *pair_cells(other)])) == 2 * len(pair_cells(first))
    conditions = [Conditions.of(filled_.grid) for filled_ in (first, other)]
    names = ["quick, plugin 11111111", "quick, plugin 22222222"]
    assert [one.describe_among(conditions) for one in conditions] == names
    assert conditions[0].describe_among(conditions[:1]) == "quick"
    assert tell_titles_apart([first, other]) == [f"Title ({name})" for name in names]
    titles = [listing.title for listing in list_protocols([first, other, first])]
    assert titles == [f"Protocol {name}" for name in names]


def test_a_cell_keeps_the_colours_that_one_of_its_tables_gives_it() -> None:
    table = filled(1, 2, 3, 4, 5)
    without = replace(table, baselines=(None,))
    for order in ((table, without), (without, table)):
        found = deduplicate([one for filled_ in order for one in pair_cells(filled_)])
        assert sum(one.has_colours for one in found) == sum(one.has_colours for one in pair_cells(table)) > 0


def test_a_cell_of_the_papers_table_goes_before_that_of_a_recipe() -> None:
    table, recipe = filled(1, 2, 3, 4, 90), filled(5, 6, 7, 8, 80)
    recipe = replace(recipe, grid=recipe.grid.model_copy(update={"key": "recipe-mine"}))
    for order in ((table, recipe), (recipe, table)):
        found = deduplicate([one for filled_ in order for one in pair_cells(filled_)])
        assert [one.cell.error_percent for one in found] == [1, 2, 3, 4, 90]


def test_a_column_that_trains_for_other_epochs_is_not_compared_with_the_baseline() -> None:
    table = filled(1, 2, 3, 4, 90)
    grid = train_last_column_longer(table.grid)
    runs = grid.all_runs()
    epochs = {
        run: [make_epoch(run, 1, 10 * (1 + 50 * ("uSF" in method_name(one.method))))] for run, one in runs.items()
    }
    other = fill_grid(grid, epochs, dict.fromkeys(runs, "finished"), PAPER)
    assert [cell.colour for cell in other.cells[0]] == [None, None, "worse", "worse", None]
    assert [cell.difference is not None for cell in other.cells[0]] == [False, True, True, True, False]
    assert [pair.has_colours for pair in pair_cells(other)] == [False, True, True, True, False]
