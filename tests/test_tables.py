"""Cells: the selection rule, the colours, the paper's numbers beside."""

from itertools import count

import pytest

from asymbp_cli.events import EpochEnded
from asymbp_cli.methods import parse_method
from asymbp_cli.networks import NETWORKS
from asymbp_cli.plan import Grid, GridColumn, GridEntry, GridRow
from asymbp_cli.protocol import Protocol
from asymbp_cli.report.markdown import render
from asymbp_cli.report.rows import as_csv, records
from asymbp_cli.report.sheet import sheet
from asymbp_cli.tables import colour, fill
from asymbp_cli.tablespec import published, reference


def _grid(*methods: str, **protocol: object) -> Grid:
    settings = Protocol.model_validate({"rate_multipliers": [1.0, 0.1], **protocol})
    columns = [
        GridColumn(header=name, entries=(GridEntry(method=parse_method(name), protocol=settings),))
        for name in methods
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
    assert (cell.error_percent, cell.epoch, cell.rate_multiplier, cell.run) == (1.2, 2, 1.0, fast.id)
    assert (cell.ended, cell.wanted, cell.complete, cell.paper) == (1, 2, False, 0.67)
    assert (missing.error_percent, missing.reason, missing.wanted) == (None, "not run yet", 2)


def test_with_held_out_data_the_validation_error_chooses() -> None:
    grid = _grid("SGD", validation_fraction=0.1)
    fast, slow = grid.runs(grid.rows[0], grid.columns[0])
    epochs = {
        fast.id: [_epoch(fast.id, 1, 10, validation_wrong=9, validation_seen=100)],
        slow.id: [_epoch(slow.id, 1, 99, validation_wrong=3, validation_seen=100)],
    }
    filled = fill(grid, epochs, {}, {})
    assert filled.cells[0][0].wrong == 99
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
    numbers = reference("table2.csv")
    rows = list(dict.fromkeys(row for row, _ in numbers))
    usf = [colour(numbers[row, "uSF"], numbers[row, "SGD"]) for row in rows]
    assert len(rows) == 15
    assert usf.count("worse") == 14
    nusf = [colour(numbers[row, "NuSF"], numbers[row, "SGD"]) for row in rows]
    assert nusf.count("worse") == 10


def test_published_numbers_go_by_header_in_tables_and_by_method_in_recipes() -> None:
    assert published("table-3")["MNIST", "brSF-25%"] == 1.01
    assert published("my-recipe")["MNIST", "brSF-25%+BN+BM"] == 1.01
    assert ("MNIST", "brSF-25%") not in published("my-recipe")
    assert published("table-5")["MNIST", "BM1"] == 0.99


def test_reports_hold_counts_marks_and_the_papers_numbers() -> None:
    grid = _grid("SGD", "uSF", "RndF")
    epochs, states = {}, {}
    wrong = count(20, 400)
    for column in grid.columns[:2]:
        for run in grid.runs(grid.rows[0], column):
            epochs[run.id] = [_epoch(run.id, 1, next(wrong), one_class=column.header == "uSF")]
            states[run.id] = "diverged" if run.rate_multiplier == 1 else "finished"
    filled = fill(grid, epochs, states, published(grid.key))
    text = render(sheet(filled))
    assert "| MNIST" in text
    assert "2.00\\*" in text
    assert "82.00=\\* 🟨" in text
    assert "*88.65* 🟨" in text
    assert "4 of 6 runs are done" in text
    lines = as_csv([filled]).splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("table-2,MNIST,SGD,2.0,20,1000,0.67")
    assert records(filled)[2]["error_percent"] is None
