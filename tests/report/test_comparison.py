"""Two stores, or two protocols, cell by cell."""

import re
from dataclasses import replace

import pytest
from sample_tables import filled

from asymbp_cli.analysis.cells import Cell, Pick
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.report.comparison import ComparedCell, Side, compare_tables, list_comparison
from asymbp_cli.report.document import Listing


def compare_sides(first: Side, second: Side) -> list[Listing]:
    return list(map(list_comparison, compare_tables(first, second)))


def test_cells_of_both_sides_stand_beside_each_other() -> None:
    first, second = Side("a", (filled(1, 2, 3, 4, None),)), Side("b", (filled(1.5, 2, 1, None, 90),))
    (found,) = compare_sides(first, second)
    assert found.header == ("dataset", "column", "a (quick)", "b (quick)", "difference, points")
    assert found.rows == (
        ("MNIST", "SGD", "1.00", "1.50", "+0.50"),
        ("MNIST", "BN", "2.00", "2.00", "+0.00"),
        ("MNIST", "uSF", "3.00", "1.00", "-2.00"),
    )
    assert "3 cells" in found.notes[0]
    assert "median difference is +0.00" in found.notes[0]
    assert "largest 2.00. At most 1 point apart: 2." in found.notes[0]
    # of 1,000 samples: 2 % twice is the root of 2 * 0.02 * 0.98 / 1000, and so on
    assert (
        found.notes[1]
        == "Standard errors of the differences, by the numbers of test samples: 0.50 to 0.63 points."
    )


def test_tables_pair_by_protocol_or_where_each_side_has_one() -> None:
    quick, paper = filled(1, 2, 3, 4, 5), filled(2, 2, 3, 4, 5, label="paper")
    both = Side("both", (quick, paper))
    assert [part.rows[0][-1] for part in compare_sides(both, Side("b", (paper, quick)))] == ["+0.00", "+0.00"]
    (one,) = compare_sides(Side("a", (quick,)), Side("b", (paper,)))
    assert one.rows[0][-1] == "+1.00"
    other = filled(1, 2, 3, 4, 5, label="demo")
    message = 'both has Title (--table 2) under quick; paper. Name one of them: "both:quick", "both:paper"'
    with pytest.raises(UsageError, match=re.escape(message)):
        compare_sides(Side("a", (other,)), both)


def test_nothing_in_common_is_said() -> None:
    with pytest.raises(UsageError, match="a and b have no cell in common"):
        compare_sides(Side("a", (filled(1, None, None, None, None),)), Side("b", (filled(None, 2, 3, 4, 5),)))
    with pytest.raises(UsageError, match=r"no cell in common: .*\. a has Title \(--table 2\), and b none\. Run"):
        compare_sides(Side("a", (filled(1, 2, 3, 4, 5),)), Side("b", ()))


def test_cells_of_tables_of_other_names_are_compared_if_there_is_no_other_cell() -> None:
    """A recipe of one column of a table is; what has only its header is not, and each cell is listed once."""

    def renamed(key: str, *percents: float) -> FilledGrid:
        table = filled(*percents)
        return replace(table, grid=table.grid.model_copy(update={"key": key}))

    recipe = renamed("recipe-mine", 1.5, 2, 3, 4, 5)
    (found,) = compare_sides(
        Side("a", (filled(1, 2, 3, 4, 5), renamed("table-5", 1, 2, 3, 4, 5))), Side("b", (recipe,))
    )
    assert [line[-1] for line in found.rows] == ["+0.50", "+0.00", "+0.00", "+0.00", "+0.00"]
    sgd, bn, *others = recipe.grid.columns
    swapped = sgd.model_copy(update={"header": "BN"}), bn.model_copy(update={"header": "SGD"}), *others
    recipe = replace(recipe, grid=recipe.grid.model_copy(update={"columns": swapped}))
    (found,) = compare_sides(Side("a", (filled(1, 2, 3, 4, 5),)), Side("b", (recipe,)))
    assert [line[1] for line in found.rows] == ["uSF", "NuSF", "uSF+BN+BM"]


def test_the_same_results_do_not_differ() -> None:
    """Nor where a table stands there under two sets of seeds, or a dataset under two networks."""
    first = filled(1, 2, 3, 4, 5)
    other = filled(10, 20, 30, 40, 50)
    other = replace(other, grid=other.grid.model_copy(update={"seeds": (7,)}))
    row = first.grid.rows[0]
    small = row.model_copy(update={"network": NETWORKS["timit"].resolve(10)})
    both = first.grid.model_copy(update={"rows": (row, small)})
    two = replace(first, grid=both, cells=(first.cells[0], other.cells[0]), baselines=first.baselines * 2)
    for side in (Side("x", (first, other)), Side("x", (two,))):
        found = compare_sides(side, side)
        assert {line[-1] for part in found for line in part.rows} == {"+0.00"}
        assert sum(len(part.rows) for part in found) == 10


def test_equal_medians_of_other_seeds_differ_by_nothing() -> None:
    """Their percentages would add up to another last digit."""
    sides = [
        Cell(picks=tuple(Pick(seed, "run", 1.0, 1, wrong, 360, False) for seed, wrong in enumerate(pair)))
        for pair in ((3, 9), (5, 7))
    ]
    first, second = sides
    assert second.error_percent == first.error_percent
    assert f"{ComparedCell('digits', 'SGD', first, second).points:+.2f}" == "+0.00"


def test_unfinished_cells_do_not_count() -> None:
    first, second = filled(1, 2, 3, 4, 5), filled(9, 2, 3, 4, 5)
    unfinished = tuple(replace(c, ended=0) if i == 0 else c for i, c in enumerate(second.cells[0]))
    (found,) = compare_sides(Side("a", (first,)), Side("b", (replace(second, cells=(unfinished,)),)))
    assert "4 cells" in found.notes[0]
    assert "largest 0.00" in found.notes[0]


def with_seeds(*seeds: int) -> FilledGrid:
    table = filled(1, 2, 3, 4, 5)
    return replace(table, grid=table.grid.model_copy(update={"seeds": seeds}))


def test_tables_of_one_protocol_are_named_by_their_seeds() -> None:
    several = Side("quick", (with_seeds(0), with_seeds(0, 1)), "quick")
    message = re.escape(
        'quick has Title (--table 2) under quick, seeds 0; quick, seeds 0, 1. Name one of them: "quick, seeds 0"'
    )
    for sides in ((several, Side("b", (with_seeds(7),))), (Side("b", (with_seeds(7),)), several)):
        with pytest.raises(UsageError, match=message):
            compare_sides(*sides)


def test_a_table_whose_only_counterpart_is_paired_with_its_twin_is_left_out() -> None:
    (found,) = compare_sides(Side("a", (with_seeds(0), with_seeds(0, 1))), Side("b", (with_seeds(0),)))
    assert len(found.rows) == 5
    crossed = Side("a", (with_seeds(0), with_seeds(0, 1))), Side("b", (with_seeds(0), with_seeds(7)))
    assert len(compare_sides(*crossed)) == 2


def test_tables_of_two_titles_are_named_by_them() -> None:
    table = filled(1, 2, 3, 4, 5)
    small, large, mine = (
        replace(table, grid=table.grid.model_copy(update={"title": title})) for title in ("Small", "Large", "Mine")
    )
    message = 'b has several tables of one name, "Small", "Large"\\. Name one of them with --table'
    with pytest.raises(UsageError, match=message):
        compare_sides(Side("a", (mine,)), Side("b", (small, large)))
    found = compare_sides(Side("a", (large, small)), Side("b", (small, large)))
    assert [part.title for part in found] == ["Large: compared", "Small: compared"]
    assert len(compare_sides(Side("a", (mine,)), Side("b", (small,)))) == 1
