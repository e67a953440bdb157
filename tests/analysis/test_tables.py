"""Cells: the selection rule, the colours, the paper's numbers beside."""

from itertools import count

import pytest

from asymbp_cli.analysis.tables import Pick, colour, fill
from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.build import make_column
from asymbp_cli.recipe.grid import Grid, GridRow
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.recipe.procedure import Procedure
from asymbp_cli.recipe.table import load_published, load_reference
from asymbp_cli.report.markdown import render
from asymbp_cli.report.parts import Document
from asymbp_cli.report.records import as_csv, records
from asymbp_cli.report.sheet import sheet
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol


def _grid(*methods: str, **protocol: object) -> Grid:
    settings = Protocol.model_validate({"rate_multipliers": [1.0, 0.1], **protocol})
    columns = [
        make_column(name, [Procedure(method=parse_method(name), protocol=settings)], settings) for name in methods
    ]
    row = GridRow(
        label="MNIST",
        key="mnist",
        paper_name="MNIST",
        exact=True,
        dataset="f",
        network=NETWORKS["mnist"].resolve(10),
    )
    return Grid(
        key="table-2",
        title="Title",
        columns=tuple(columns),
        rows=(row,),
        baseline=columns[0],
        protocol_label="quick",
    )


def _epoch(run: str, epoch: int, wrong: int, **changes: object) -> EpochEnded:
    values = {
        "run": run,
        "epoch": epoch,
        "rate": 1e-3,
        "train_loss": 0.1,
        "train_wrong": 0,
        "train_seen": 100,
        "test_loss": 0.1,
        "test_wrong": wrong,
        "test_seen": 1000,
        "validation_wrong": None,
        "validation_seen": None,
        "one_class": False,
        "diverged": False,
        "seconds": 1.0,
    }
    return EpochEnded(**values | changes)  # type: ignore[arg-type]


def test_a_cell_is_the_lowest_test_error_over_all_epochs_and_rates() -> None:
    grid = _grid("SGD", "uSF")
    fast, slow = grid.runs(grid.rows[0], grid.columns[0])
    epochs = {
        fast.id: [_epoch(fast.id, 1, 30), _epoch(fast.id, 2, 12), _epoch(fast.id, 3, 40)],
        slow.id: [_epoch(slow.id, 1, 12), _epoch(slow.id, 2, 15)],
    }
    filled = fill(grid, epochs, {fast.id: "finished"}, {("MNIST", "SGD"): 0.67})
    cell, missing = filled.cells[0]
    assert cell.picks == (Pick(0, fast.id, 1.0, epoch=2, wrong=12, seen=1000, collapsed=False),)
    assert (cell.error_percent, cell.range_percent) == (1.2, None)
    assert (cell.ended, cell.wanted, cell.complete, cell.paper) == (1, 2, False, 0.67)
    assert (missing.error_percent, missing.pick, missing.reason, missing.wanted) == (None, None, "not run yet", 2)


@pytest.mark.parametrize(
    ("wrong", "middle", "chosen"), [((30, 10), 2.0, 1), ((30, 10, 15), 1.5, 2), ((30, 10, 20, 14), 1.7, 3)]
)
def test_several_seeds_give_the_median_of_their_cells(wrong: tuple[int, ...], middle: float, chosen: int) -> None:
    grid = _grid("SGD").model_copy(update={"seeds": tuple(range(len(wrong)))})
    runs = grid.runs(grid.rows[0], grid.columns[0])
    lowest = {run.id: wrong[run.seed] + (50 if run.rate_multiplier == 1 else 0) for run in runs}
    epochs = {run.id: [_epoch(run.id, 1, lowest[run.id])] for run in runs}
    filled = fill(grid, epochs, {run.id: "finished" for run in runs}, {})
    cell = filled.cells[0][0]
    assert cell.error_percent == pytest.approx(middle)
    assert cell.pick is not None
    assert cell.pick.seed == chosen
    assert cell.range_percent == (1.0, 3.0)
    assert f"n = {len(wrong)} seeds" in " ".join(sheet(filled).notes)
    assert "(1.00-3.00)" in render(Document("", "", (sheet(filled),)))
    assert [(r["seed"], r["wrong"]) for r in records(filled)] == sorted(enumerate(wrong), key=lambda pair: pair[1])
    part = {run_id: points for run_id, points in epochs.items() if run_id == runs[0].id}
    assert f"n = 1 to {len(wrong)} seeds" in " ".join(sheet(fill(grid, part, {}, {})).notes)


def test_an_unfinished_cell_has_no_colour() -> None:
    grid = _grid("SGD", "uSF")
    runs = [run for found in grid.columns for run in grid.runs(grid.rows[0], found)]
    epochs = {run.id: [_epoch(run.id, 1, 10 if run.method == parse_method("SGD") else 500)] for run in runs}
    done = {run.id: "finished" for run in runs}
    assert [cell.colour for cell in fill(grid, epochs, done, {}).cells[0]] == [None, "worse"]
    for missing in runs:  # of the cell, or of the baseline
        some = {run_id: state for run_id, state in done.items() if run_id != missing.id}
        assert [cell.colour for cell in fill(grid, epochs, some, {}).cells[0]] == [None, None]


def test_with_held_out_data_the_validation_error_chooses() -> None:
    grid = _grid("SGD", validation_fraction=0.1)
    fast, slow = grid.runs(grid.rows[0], grid.columns[0])
    epochs = {
        fast.id: [_epoch(fast.id, 1, 10, validation_wrong=9, validation_seen=100)],
        slow.id: [_epoch(slow.id, 1, 99, validation_wrong=3, validation_seen=100)],
    }
    filled = fill(grid, epochs, {}, {})
    assert filled.cells[0][0].error_percent == 9.9
    assert "validation" in sheet(filled).notes[0]


@pytest.mark.parametrize(
    ("error", "baseline", "expected"),
    [(3.67, 0.67, "worse"), (3.66, 0.67, None), (0.67, 3.67, "better"), (1.0, None, None), (None, 1.0, None)],
)
def test_colours_follow_the_three_point_rule(
    error: float | None, baseline: float | None, expected: str | None
) -> None:
    assert colour(error, baseline) == expected


def test_colours_of_the_papers_own_table_tell_its_story() -> None:
    numbers = load_reference("table2.csv")
    rows = list(dict.fromkeys(row for row, _ in numbers))
    usf = [colour(numbers[row, "uSF"], numbers[row, "SGD"]) for row in rows]
    assert len(rows) == 15
    assert usf.count("worse") == 14
    nusf = [colour(numbers[row, "NuSF"], numbers[row, "SGD"]) for row in rows]
    assert nusf.count("worse") == 10


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
    grid = _grid("SGD", "uSF", "RndF")
    epochs, states = {}, {}
    wrong = count(20, 400)
    for found in grid.columns[:2]:
        for run in grid.runs(grid.rows[0], found):
            epochs[run.id] = [_epoch(run.id, 1, next(wrong), one_class=found.header == "uSF")]
            states[run.id] = "diverged" if run.rate_multiplier == 1 else "finished"
    filled = fill(grid, epochs, states, load_published())
    text = render(Document("", "", (sheet(filled),)))
    assert "| MNIST" in text
    assert "2.00\\*" in text
    assert "82.00=\\* 🟨" in text
    assert "*88.65* 🟨" in text
    assert "4 of 6 runs are done" in text
    lines = as_csv([filled]).splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("table-2,MNIST,SGD,0,2.0,20,1000,2.0,0.67")
    assert records(filled)[2]["error_percent"] is None
