"""How a cell is written in all formats."""

import sample_document as sample

from asymbp_cli.report.cells import is_best


def test_a_cell_that_is_not_finished_is_not_the_best_though_it_is_the_lowest() -> None:
    low, finished, tied = sample.cell(50, ended=4), sample.cell(70), sample.cell(70)
    row = (low, finished, sample.cell(90), tied, sample.MISSING)
    assert [is_best(cell, row) for cell in row] == [False, True, False, True, False]
    assert not is_best(low, (low,))
