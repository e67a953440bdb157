"""The notes below a table: what its marks, dashes, samples and networks mean."""

from dataclasses import replace

import pytest
import small_study
from sample_tables import filled, make_epoch, make_grid, seeded

from asymbp_cli.analysis.tables import fill_grid
from asymbp_cli.recipe.grid import Grid, GridRow
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.report.footnotes import write_footnotes
from asymbp_cli.specs.protocol import Protocol


def test_footnotes_say_what_three_points_and_a_standard_error_are() -> None:
    notes = " ".join(write_footnotes(filled(1.0, 2.0, 3.0, 4.0, 50.0)))
    assert "MNIST 0.31 to 1.58 points, where 3 points are 30 of 1,000 samples." in notes
    assert (
        "not the spread over seeds (there is one), the choice of rate and epoch on the test set, or what" in notes
    )
    assert "Last epoch" not in notes
    assert "hollow" not in notes
    assert "more chances" not in notes
    (last,) = [note for note in write_footnotes(seeded()) if note.startswith("Last epoch")]
    assert last == (
        "Last epoch: the test error of the same runs after their last epoch. That epoch is not picked on the test "
        "set; the rate still is."
    )


def test_a_footnote_says_on_how_many_samples_cells_were_picked_that_were_held_out() -> None:
    """Classes round their shares, so that only epochs know."""
    protocol = Protocol(rate_multipliers=(1.0,), validation_fraction=0.1)

    def noted(*sizes: int | None) -> str:
        grid = make_grid("SGD", **protocol.model_dump())
        grid = grid.model_copy(update={"rows": tuple(_row(grid, number) for number in range(len(sizes)))})
        epochs = {
            run.id: [make_epoch(run.id, 1, 2, validation_wrong=None if size is None else 1, validation_seen=size)]
            for row, size in zip(grid.rows, sizes, strict=True)
            for run in grid.runs(row, grid.columns[0])
        }
        return " ".join(write_footnotes(fill_grid(grid, epochs, {}, {})))

    assert "held-out samples" not in noted(None)
    assert "picked on 6 to 1,500 held-out samples of each dataset." in noted(6, 1500, 7)
    assert "picked on 142 held-out samples of each dataset." in noted(142, 142)


def _row(grid: Grid, number: int) -> GridRow:
    return grid.rows[0].model_copy(update={"dataset": f"{number}", "label": f"{number}", "train_count": 60})


def test_a_footnote_explains_the_dash_of_a_cell_that_was_picked_from_the_last_epoch() -> None:
    table = seeded()
    sgd, usf = table.cells[0]
    ends_best = replace(usf, picks=tuple(replace(pick, epoch=pick.last_epoch) for pick in usf.picks))
    assert ends_best.last_percent is None
    (last,) = [
        note
        for note in write_footnotes(replace(table, cells=((sgd, ends_best),)))
        if note.startswith("Last epoch")
    ]
    assert "after their last epoch (`-` if that is the picked one)." in last


def test_the_runs_that_diverged_are_counted_among_those_of_the_marked_cells() -> None:
    table = filled(1.0, 2.0, 3.0, 4.0, 50.0)
    first, second, *others = table.cells[0]
    marked = [replace(cell, ended=5, wanted=5, diverged=diverged) for cell, diverged in ((first, 1), (second, 3))]
    notes = write_footnotes(replace(table, cells=((*marked, *others),)))
    assert "`*` some runs diverged (4 of the 10 runs of the marked cells) and count as the first class." in notes


def test_of_many_datasets_the_smallest_and_the_largest_test_set_are_named() -> None:
    table = filled(1.0, 2.0, 3.0, 4.0, 50.0)
    sizes = (1000, 360, 10000, 400, 340)
    cells = tuple(
        tuple(
            replace(cell, picks=tuple(replace(pick, seen=10 * size) for pick in cell.picks))
            for cell in table.cells[0]
        )
        for size in sizes
    )
    rows = tuple(table.grid.rows[0].model_copy(update={"label": f"of {size}"}) for size in sizes)
    many = replace(
        table, grid=table.grid.model_copy(update={"rows": rows}), cells=cells, baselines=table.baselines * 5
    )
    (note,) = [note for note in write_footnotes(many) if note.startswith("Standard errors")]
    assert "of 340 " in note
    assert "102 of 3,400 samples" in note
    assert "of 10000 " in note
    assert note.endswith("; the other test sets are between.")
    assert note.count("samples") == 2


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (45, "1.35 of 45 samples (so at least 2)"),
        (360, "10.8 of 360 samples (so at least 11)"),
        (100, "3 of 100 samples."),
    ],
)
def test_three_points_of_few_samples_are_said_to_be_a_fraction(seen: int, said: str) -> None:
    table = filled(1.0, 2.0, 3.0, 4.0, 5.0)
    cells = tuple(replace(c, picks=tuple(replace(p, wrong=2, seen=seen) for p in c.picks)) for c in table.cells[0])
    assert f"3 points are {said}" in " ".join(write_footnotes(replace(table, cells=(cells,))))


def test_data_under_two_networks_is_explained_once() -> None:
    networks = (small_study.NETWORK, NETWORKS["timit"].resolve(10))
    rows = tuple(
        small_study.row(name * 64).model_copy(update={"network": network})
        for name, network in zip("aab", (*networks, networks[0]), strict=True)
    )
    table = fill_grid(small_study.grid(rows=rows), {}, {}, {})
    (note,) = [note for note in write_footnotes(table) if "SHA-256" in note]
    assert note.startswith("data aaaaaaaa, data bbbbbbbb: datasets of one name")


@pytest.mark.parametrize(
    ("headers", "where"),
    [
        ({}, ""),
        ({"SGD": "BP"}, " (the column BP)"),
        ({"SGD": None}, " (trained for this comparison, no column here)"),
    ],
)
def test_a_footnote_says_where_the_baseline_is(headers: dict[str, str | None], where: str) -> None:
    table = filled(1.0, 2.0, 3.0, 4.0, 50.0)
    columns = [
        column.model_copy(update={"header": header})
        for column in table.grid.columns
        if (header := headers.get(column.header, column.header))
    ]
    grid = table.grid.model_copy(update={"columns": tuple(columns)})
    assert f"Yellow: worse than SGD{where} on the same data" in " ".join(
        write_footnotes(replace(table, grid=grid))
    )
