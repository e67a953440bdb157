"""Two stores, or two protocols, cell by cell."""

import pytest
from test_agreement import filled

from asymbp_cli.errors import UsageError
from asymbp_cli.report.comparison import Side, comparison


def test_cells_of_both_sides_stand_beside_each_other() -> None:
    first, second = Side("a", (filled(1, 2, 3, 4, None),)), Side("b", (filled(1.5, 2, 1, None, 90),))
    (found,) = comparison(first, second)
    assert found.header == ("dataset", "column", "a (quick)", "b (quick)", "difference, points")
    assert found.rows == (
        ("MNIST", "SGD", "1.00", "1.50", "+0.50"),
        ("MNIST", "BN", "2.00", "2.00", "+0.00"),
        ("MNIST", "uSF", "3.00", "1.00", "-2.00"),
    )
    assert "3 cells" in found.notes[0]
    assert "median difference is +0.00" in found.notes[0]
    assert "largest 2.00; 2 are at most 1 point apart" in found.notes[0]


def test_tables_pair_by_protocol_or_where_each_side_has_one() -> None:
    quick, paper = filled(1, 2, 3, 4, 5), filled(2, 2, 3, 4, 5, label="paper")
    both = Side("both", (quick, paper))
    assert [part.rows[0][-1] for part in comparison(both, Side("b", (paper, quick)))] == ["+0.00", "+0.00"]
    (one,) = comparison(Side("a", (quick,)), Side("b", (paper,)))
    assert one.rows[0][-1] == "+1.00"
    other = filled(1, 2, 3, 4, 5, label="demo")
    with pytest.raises(UsageError, match='both has table-2 under quick, paper; name one of them: "both:PROTOCOL"'):
        comparison(Side("a", (other,)), both)


def test_nothing_in_common_is_said() -> None:
    with pytest.raises(UsageError, match="a and b have no cell in common"):
        comparison(Side("a", (filled(1, None, None, None, None),)), Side("b", (filled(None, 2, 3, 4, 5),)))
    with pytest.raises(UsageError, match="no cell in common"):
        comparison(Side("a", (filled(1, 2, 3, 4, 5),)), Side("b", ()))
