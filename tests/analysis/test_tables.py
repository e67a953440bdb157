"""Cells: the selection rule, their differences, the paper's numbers beside."""

from dataclasses import replace
from itertools import count

import pytest
from sample_tables import make_epoch, make_grid

from asymbp_cli.analysis.cells import Pick
from asymbp_cli.analysis.tables import FilledGrid, compare_rules, fill_grid, filter_grids, find_held_out
from asymbp_cli.recipe.build import make_column
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.procedure import Procedure
from asymbp_cli.recipe.table import load_published
from asymbp_cli.report import csv_records
from asymbp_cli.report.command_listing import list_commands
from asymbp_cli.report.document import Document
from asymbp_cli.report.markdown import render
from asymbp_cli.report.records import make_records
from asymbp_cli.report.result_table import make_result_table
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol


def test_a_cell_is_the_lowest_test_error_over_all_epochs_and_rates() -> None:
    grid = make_grid("SGD", "uSF")
    fast, slow = grid.runs(grid.rows[0], grid.columns[0])
    epochs = {
        fast.id: [make_epoch(fast.id, 1, 30), make_epoch(fast.id, 2, 12), make_epoch(fast.id, 3, 40)],
        slow.id: [make_epoch(slow.id, 1, 12), make_epoch(slow.id, 2, 15)],
    }
    filled = fill_grid(grid, epochs, {fast.id: "finished"}, {("MNIST", "SGD"): 0.67})
    cell, missing = filled.cells[0]
    pick = Pick(0, fast.id, 1.0, epoch=2, wrong=12, seen=1000, collapsed=False, last_epoch=3, last_wrong=40)
    assert cell.picks == (pick,)
    assert (cell.error_percent, cell.range_percent, cell.last_percent) == (1.2, None, 4.0)
    assert (cell.ended, cell.wanted, cell.complete, cell.paper) == (1, 2, False, 0.67)
    assert (missing.error_percent, missing.pick, missing.reason, missing.wanted) == (None, None, "not run yet", 2)


@pytest.mark.parametrize(
    ("wrong", "middle", "chosen"), [((30, 10), 2.0, 1), ((30, 10, 15), 1.5, 2), ((30, 10, 20, 14), 1.7, 3)]
)
def test_several_seeds_give_the_median_of_their_cells(wrong: tuple[int, ...], middle: float, chosen: int) -> None:
    grid = make_grid("SGD").model_copy(update={"seeds": tuple(range(len(wrong)))})
    runs = grid.runs(grid.rows[0], grid.columns[0])
    lowest = {run.id: wrong[run.seed] + (50 if run.rate_multiplier == 1 else 0) for run in runs}
    epochs = {run.id: [make_epoch(run.id, 1, lowest[run.id])] for run in runs}
    filled = fill_grid(grid, epochs, {run.id: "finished" for run in runs}, {})
    cell = filled.cells[0][0]
    assert cell.error_percent == pytest.approx(middle)
    assert cell.pick is not None
    assert cell.pick.seed == chosen
    assert cell.range_percent == (1.0, 3.0)
    assert f"n = {len(wrong)} seeds" in " ".join(make_result_table(filled).notes)
    assert "(1.00-3.00)" in render(Document("", "", (make_result_table(filled),)))
    assert [(r["seed"], r["wrong"]) for r in make_records([filled])[0]] == sorted(
        enumerate(wrong), key=lambda pair: pair[1]
    )
    picks = [pick.error_percent for pick in cell.middle]
    assert sum(picks) / len(picks) == pytest.approx(middle)  # the runs that a page names have this number
    (line,) = list_commands(make_result_table(filled)).rows
    assert line[3].split(", ") == [pick.run for pick in cell.middle]
    last = replace(cell.middle[-1], collapsed=True)
    marked = replace(cell, picks=tuple(last if pick.seed == last.seed else pick for pick in cell.picks))
    assert marked.collapsed
    assert not cell.collapsed
    part = {run_id: points for run_id, points in epochs.items() if run_id == runs[0].id}
    assert f"n = 1 to {len(wrong)} seeds" in " ".join(make_result_table(fill_grid(grid, part, {}, {})).notes)


def test_with_held_out_data_the_validation_error_chooses() -> None:
    grid = make_grid("SGD", validation_fraction=0.1)
    fast, slow = grid.runs(grid.rows[0], grid.columns[0])
    epochs = {
        fast.id: [make_epoch(fast.id, 1, 10, validation_wrong=9, validation_seen=100)],
        slow.id: [make_epoch(slow.id, 1, 99, validation_wrong=3, validation_seen=100)],
    }
    filled = fill_grid(grid, epochs, {}, {})
    assert filled.cells[0][0].error_percent == 9.9
    assert "Ties go to the lowest validation loss, if it was stored, then to" in make_result_table(filled).notes[0]


def test_the_last_epoch_is_shown_if_another_was_picked() -> None:
    grid = make_grid("SGD").model_copy(update={"seeds": (0, 1, 2)})
    picked = {0: (10, 90), 1: (12, 15), 2: (11, 17)}  # wrong in the first epoch, and in the second
    epochs = {
        run.id: [make_epoch(run.id, i, wrong) for i, wrong in enumerate(picked[run.seed], start=1)]
        for run in grid.runs(grid.rows[0], grid.columns[0])
    }
    cell = fill_grid(grid, epochs, {}, {}).cells[0][0]
    assert cell.last_percent == 1.7  # the median of 9.0, 1.5 and 1.7
    single = {run: points[:1] for run, points in epochs.items()}
    assert fill_grid(grid, single, {}, {}).cells[0][0].last_percent is None


def test_cells_differ_from_their_baseline_by_seed() -> None:
    grid = make_grid("SGD", "uSF").model_copy(update={"seeds": (0, 1)})
    wrong = {("SGD", 0): 100, ("SGD", 1): 140, ("uSF", 0): 150, ("uSF", 1): 200}
    runs = [(run, column.header) for column in grid.columns for run in grid.runs(grid.rows[0], column)]
    epochs = {run.id: [make_epoch(run.id, 1, wrong[header, run.seed])] for run, header in runs}
    done = {run.id: "finished" for run, _ in runs}
    sgd, usf = fill_grid(grid, epochs, done, {}).cells[0]
    assert sgd.difference is None
    assert usf.difference is not None
    assert (usf.difference.points, usf.difference.seeds) == (5.5, 2)
    assert usf.difference.seed_error == pytest.approx(0.5)  # of 5 and 6 points
    assert (usf.colour, usf.hollow) == ("worse", False)
    unfinished = {run: state for run, state in done.items() if run != runs[-1][0].id}
    assert fill_grid(grid, epochs, unfinished, {}).cells[0][1].difference is None


def test_the_difference_between_the_rules_is_paired_by_seed() -> None:
    grid = make_grid("SGD", "uSF").model_copy(update={"seeds": (0, 1)})
    held_out = make_grid("SGD", "uSF", validation_fraction=0.1).model_copy(update={"seeds": (1, 2)})
    other = make_grid("SGD", epochs=9, validation_fraction=0.1)
    assert find_held_out(grid, [grid, other, held_out]) == held_out
    assert find_held_out(grid, [grid, other]) is None
    assert find_held_out(held_out, [grid, held_out]) is None
    assert find_held_out(grid, [held_out.model_copy(update={"key": "table-3"})]) is None
    assert find_held_out(grid, [held_out.model_copy(update={"seeds": (7,)})]) is None

    def fill(grid: Grid, wrong: dict[int, int], state: str = "finished") -> FilledGrid:
        runs = grid.all_runs().values()
        epochs = {run.id: [make_epoch(run.id, 1, wrong[run.seed])] for run in runs}
        return fill_grid(grid, epochs, {run.id: state for run in runs} if state else {}, {})

    compared = compare_rules(fill(grid, {0: 10, 1: 20}), fill(held_out, {1: 25, 2: 99}))
    assert [cell.rule_difference for cell in compared.cells[0]] == [0.5, 0.5]
    edited = make_grid("SGD", "uSF+BN", validation_fraction=0.1).model_copy(update={"seeds": (1, 2)})
    edited = edited.model_copy(
        update={"columns": (edited.columns[0], edited.columns[1].model_copy(update={"header": "uSF"}))}
    )
    compared = compare_rules(fill(grid, {0: 10, 1: 20}), fill(edited, {1: 25, 2: 99}))
    assert [cell.rule_difference for cell in compared.cells[0]] == [0.5, None]  # other runs under a known header
    unfinished = compare_rules(fill(grid, {0: 10, 1: 20}), fill(held_out, {1: 25, 2: 99}, state=""))
    assert [cell.rule_difference for cell in unfinished.cells[0]] == [None, None]


def test_tables_that_treat_short_epochs_otherwise_are_paired_in_the_cells_that_are_the_same() -> None:
    """A table of an early store, which averaged once, beside one that cycles: only BN differs between them."""

    def make(short_epochs: str, train_count: int | None, fraction: float) -> Grid:
        changes = {"validation_fraction": fraction, "batch_norm_short_epochs": short_epochs}
        grid = make_grid("SGD", "uSF+BN", **changes)
        rows = (grid.rows[0].model_copy(update={"train_count": train_count}),)
        return grid.model_copy(update={"rows": rows})

    def fill(grid: Grid) -> FilledGrid:
        epochs = {run: [make_epoch(run, 1, 10)] for run in grid.all_runs()}
        return fill_grid(grid, epochs, dict.fromkeys(epochs, "finished"), {})

    early, present = make("once", None, 0.0), make("cycle", 1000, 0.0)
    early_held_out, present_held_out = make("once", None, 0.1), make("cycle", 1000, 0.1)
    assert find_held_out(early, [present_held_out]) == present_held_out
    for stored in ([early_held_out, present_held_out], [present_held_out, early_held_out]):
        assert find_held_out(present, stored) == present_held_out
        assert find_held_out(early, stored) == early_held_out
    for one, other, expected in (
        (early, early_held_out, [0.0, 0.0]),
        (present, present_held_out, [0.0, 0.0]),
        (early, present_held_out, [0.0, None]),
        (make("cycle", 60_000, 0.0), early_held_out, [0.0, 0.0]),  # no short epochs
    ):
        compared = compare_rules(fill(one), fill(other))
        assert [cell.rule_difference for cell in compared.cells[0]] == expected


def test_rows_of_early_stores_say_how_their_short_epochs_were_averaged() -> None:
    def notes(grid: Grid, *counts: int | None) -> str:
        rows = (grid.rows[0].model_copy(update={"train_count": n, "label": f"set {n}"}) for n in counts)
        return " ".join(
            make_result_table(fill_grid(grid.model_copy(update={"rows": tuple(rows)}), {}, {}, {})).notes
        )

    said = "set None: test statistics averaged once, also over epochs of fewer than 20 mini-batches"
    assert said in notes(make_grid("SGD", "uSF+BN", batch_norm_short_epochs="cycle"), None, 1000)
    assert "averaged once" not in notes(make_grid("SGD", "uSF+BN", batch_norm_short_epochs="cycle"), 1000)
    assert "averaged once" not in notes(make_grid("SGD", "uSF"), None)


def test_published_numbers_go_by_method() -> None:
    assert load_published()["MNIST", "brSF-25%+BN+BM"] == 1.01
    assert load_published()["MNIST", "RndF+BN+BM Top"] == 3.81
    assert load_published()["MNIST", "BM"] == 0.99
    assert len(load_published()) == 36 * 6 + 32 * 9 - 15  # uSF+BM counts as two of the paper's models


def test_a_name_does_not_make_another_method_the_baseline_or_comparable() -> None:
    settings = Protocol(rate_multipliers=(1.0,))
    plain, other = (
        Procedure(method=parse_method("SGD"), protocol=settings),
        settings.model_copy(update={"epochs": 3}),
    )
    assert make_column("mine", [plain], settings).paper_name == "SGD"
    usf = Procedure(method=parse_method("uSF"), protocol=settings)
    assert make_column("SGD", [usf], settings).paper_name == "uSF"
    changed = make_column("SGD", [Procedure(method=parse_method("SGD"), protocol=other)], settings)
    assert (changed.paper_name, changed.note) == (None, "epochs 3")
    two = make_column("both", [plain, Procedure(method=parse_method("SGD"), protocol=other)], settings)
    assert (two.paper_name, two.note) == ("SGD", "the better of 2 procedures: as the protocol says; or epochs 3")


def test_reports_hold_counts_marks_and_the_papers_numbers() -> None:
    grid = make_grid("SGD", "uSF", "RndF")
    epochs, states = {}, {}
    wrong = count(20, 400)
    for found in grid.columns[:2]:
        for run in grid.runs(grid.rows[0], found):
            epochs[run.id] = [make_epoch(run.id, 1, next(wrong), one_class=found.header == "uSF")]
            states[run.id] = "diverged" if run.rate_multiplier == 1 else "finished"
    filled = fill_grid(grid, epochs, states, load_published())
    text = render(Document("", "", (make_result_table(filled),)))
    assert "| MNIST" in text
    assert "2.00\\*" in text
    assert "82.00=\\* 🟨" in text
    assert "*88.65* 🟨" in text
    assert "4 of 6 runs are done" in text
    lines = csv_records.render([filled]).splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("table-2,MNIST,SGD,0,2.0,20,1000,2.0,0.67")
    assert make_records([filled])[0][2]["error_percent"] is None


def test_tables_of_one_name_stand_together_and_the_nearer_reading_first() -> None:
    asked = [
        ("2", "paper"),
        ("3", "paper"),
        ("2", "quick"),
        ("2", "matconvnet with epochs=15"),
        ("3", "matconvnet"),
    ]
    grids = [
        make_grid("SGD").model_copy(update={"key": f"table-{key}", "protocol_label": label})
        for key, label in asked
    ]
    found = [(grid.key[6:], grid.protocol_label) for grid in filter_grids(grids, [])]
    assert found == [asked[3], asked[0], asked[2], asked[4], asked[1]]
