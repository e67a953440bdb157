"""Other papers' printed numbers, and ours beside them."""

from typing import Any

import pytest
import small_study
from sample_tables import make_epoch

from asymbp_cli.analysis.marks import ComparedMark, Mark, compare_marks, load_marks
from asymbp_cli.analysis.tables import fill_grid
from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.build import make_table_grid
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.procedure import Procedure
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.table import load_table, other_table_files
from asymbp_cli.report.marks_listing import list_marks
from asymbp_cli.specs.measures import MEASURES
from asymbp_cli.specs.methods import parse_method

LABELS = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST"}


def grid_of(key: str, seeds: tuple[int, ...] = (0,), overrides: tuple[str, ...] = ()) -> Grid:
    (table,) = load_table(key)
    assert table.protocol is not None
    assert table.network is not None
    protocol, label = load_protocol(table.protocol, overrides)
    datasets = [
        small_study.INFO.model_copy(
            update={"key": name, "label": LABELS[name], "shape": table.network.input, "fingerprint": name}
        )
        for name in table.datasets
    ]
    return make_table_grid(table, protocol, label, datasets, seeds=seeds)


def epochs_of(
    grid: Grid, column: str, points: dict[int, list[EpochEnded]], row: int = 0
) -> dict[str, list[EpochEnded]]:
    """Return the points of the seeds of a column, by run."""
    (wanted,) = (one for one in grid.columns if one.header == column)
    return {run.id: points[run.seed] for run in grid.runs(grid.rows[row], wanted)}


@pytest.mark.parametrize("key", other_table_files())
def test_every_printed_number_belongs_to_the_table(key: str) -> None:
    (table,) = load_table(key)
    grid, marks = grid_of(key), load_marks(key)
    network = grid.rows[0].network
    assert network is not None
    layers = [operation.number for operation in network.weighted()]
    assert {column.header for column in table.columns} <= {mark.column for mark in marks}
    assert {mark.column for mark in marks} - {column.header for column in table.columns} <= {"PFA"}
    for mark in marks:
        assert mark.measure in ("error", "lowest-error", "selected-error", *MEASURES)
        assert mark.layer in (layers if mark.measure in MEASURES else [0])
        assert mark.layer != 1 or "first-layer-feedback" in grid.protocol.measure
        assert mark.tolerance > 0
        assert 0 < mark.epoch <= grid.protocol.epochs or key == "akrout2019"  # which has 400, and trains 100
        assert mark.dataset in table.datasets or len(table.datasets) == 1
    places = [(mark.dataset, mark.column, mark.epoch, mark.measure, mark.layer) for mark in marks]
    assert len(set(places)) == len(marks)


def test_what_was_printed_is_beside_the_mean_over_seeds() -> None:
    grid = grid_of("pfa2024", seeds=(0, 1))
    points = {
        seed: [make_epoch("", 40, wrong, measures={"angle": {1: 89.0, 3: angle}, "norm-ratio": {}})]
        for seed, wrong, angle in ((0, 18, 60.0), (1, 20, 70.0))
    }
    found = {
        (one.mark.measure, one.mark.layer): one
        for one in compare_marks(grid, grid.rows[0], epochs_of(grid, "FA", points))
    }
    assert list(found) == [("error", 0), ("angle", 1), ("angle", 3)]  # not those that we have not measured
    error, angle = found["error", 0], found["angle", 3]
    assert (error.mark.value, error.ours, error.mark.tolerance) == (1.77, pytest.approx(1.9), 0.15)
    assert error.agrees
    assert (angle.mark.value, angle.ours) == (61.2, 65.0)
    assert not angle.agrees
    assert angle.difference == pytest.approx(3.8)


def test_a_lowest_error_is_that_of_all_epochs_of_its_dataset() -> None:
    grid = grid_of("biotorch2021")
    mnist = epochs_of(grid, "BP", {0: [make_epoch("", 1, 30), make_epoch("", 7, 8), make_epoch("", 100, 10)]})
    fashion = epochs_of(grid, "BP", {0: [make_epoch("", 1, 90), make_epoch("", 100, 95)]}, row=1)
    found = [compare_marks(grid, row, mnist | fashion) for row in grid.rows]
    (first,), (second,) = found
    assert (first.mark.value, first.ours) == (0.91, pytest.approx(0.8))
    assert (second.mark.value, second.ours) == (9.2, pytest.approx(9.0))
    unfinished = epochs_of(grid, "BP", {0: [make_epoch("", 99, 8)]})
    assert compare_marks(grid, grid.rows[0], unfinished) == []


def test_a_selected_error_is_that_of_the_cell() -> None:
    """Of the run and the epoch with the lowest held-out error, as the mean over seeds, if all runs have ended."""
    grid = grid_of("ccl2024", seeds=(0, 1))
    (column,) = (one for one in grid.columns if one.header == "BP")
    runs = grid.runs(grid.rows[0], column)
    assert len(runs) == 2 * 2 * 6  # seeds, norms, rates
    worse = [
        make_epoch("", 50, 1, validation_wrong=30, validation_seen=600),
        make_epoch("", 100, 40, validation_wrong=31, validation_seen=600),
    ]
    epochs = {run.id: worse for run in runs}
    best = {seed: next(run for run in runs if run.seed == seed) for seed in (0, 1)}
    epochs[best[0].id] = [
        make_epoch("", 50, 17, validation_wrong=29, validation_seen=600),
        make_epoch("", 100, 3, validation_wrong=30, validation_seen=600),
    ]
    epochs[best[1].id] = [
        make_epoch("", 50, 2, validation_wrong=31, validation_seen=600),
        make_epoch("", 100, 21, validation_wrong=28, validation_seen=600),
    ]
    (found,) = compare_marks(grid, grid.rows[0], epochs)
    assert (found.mark.value, found.ours) == (1.81, pytest.approx(1.9))
    epochs[runs[-1].id] = worse[:1]
    assert compare_marks(grid, grid.rows[0], epochs) == []


def test_a_later_epoch_is_not_selected() -> None:
    """They trained no longer, so that more epochs would be more choices."""
    grid = grid_of("ccl2024", overrides=("protocol.epochs=200",))
    history = [
        make_epoch("", epoch, wrong, validation_wrong=wrong, validation_seen=600)
        for epoch, wrong in ((99, 9), (100, 7), (101, 2))
    ]
    (found,) = compare_marks(grid, grid.rows[0], epochs_of(grid, "BP", {0: history}))
    assert found.ours == pytest.approx(0.7)


def test_a_mark_that_a_seed_has_not_reached_is_not_compared() -> None:
    grid = grid_of("pfa2024", seeds=(0, 1))
    points = {0: [make_epoch("", 40, 18)], 1: [make_epoch("", 39, 18)]}
    assert compare_marks(grid, grid.rows[0], epochs_of(grid, "BP", points)) == []


def test_other_data_and_other_tables_are_not_compared() -> None:
    grid = grid_of("akrout2019")
    epochs = epochs_of(grid, "BP", {0: [make_epoch("", 1, 120)]})
    assert len(compare_marks(grid, grid.rows[0], epochs)) == 1
    row = grid.rows[0].model_copy(update={"key": "digits"})
    assert compare_marks(grid, row, epochs) == []
    assert compare_marks(grid.model_copy(update={"key": "table-2"}), grid.rows[0], epochs) == []
    assert load_marks("2") == ()


@pytest.mark.parametrize(("ours", "agrees"), [(1.5, True), (1.51, False), (0.5, True)])
def test_a_mark_agrees_up_to_its_tolerance(ours: float, agrees: bool) -> None:
    assert ComparedMark(Mark("BP", 1, "error", 0, 1.0, 0.5), ours).agrees == agrees


def test_the_listing_sums_up_each_curve() -> None:
    grid = grid_of("akrout2019")
    measured = {1: 89.5, 2: 41.04}
    points = [
        make_epoch("", 1, 150, measures={"angle": measured}),
        make_epoch("", 2, 115, measures={"angle": measured}),
    ]
    epochs = epochs_of(grid, "FA", {0: points})
    filled = fill_grid(grid, epochs, {}, {})
    summary, every = list_marks(filled, epochs, every=True)
    assert "5 of 6 printed numbers agree on MNIST" in summary.title
    assert summary.rows == (
        ("FA: error", "2", "2", "0.5", "+0.49", "1", "2", "11.96", "11.50"),
        ("FA: angle in layer 1", "2", "2", "3", "-0.3", "1", "2", "89.8", "89.5"),
        ("FA: angle in layer 2", "2", "1", "3", "+6.1", "2", "2", "34.9", "41.0"),
    )
    assert len(every.rows) == 6
    assert every.rows[0] == ("FA: error", "1", "14.51", "15.00", "+0.49")
    assert len(list(list_marks(filled, epochs, every=False))) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"network": "Conv 5x5x4/1"},
        {"exact": False},
        {"protocol": {"base_rate": 0.5}},
        {"protocol": {"rate_multipliers": (1.0, 10.0)}},
        {"method": "uSF"},
    ],
)
def test_only_what_the_paper_trained_is_compared(changes: dict[str, Any]) -> None:
    grid = grid_of("akrout2019")
    row, column = grid.rows[0], next(one for one in grid.columns if one.header == "FA")
    entry = column.entries[0]
    if "network" in changes:
        assert row.network is not None
        row = row.model_copy(update={"network": row.network.model_copy(update={"activation": "relu"})})
    if "exact" in changes:
        row = row.model_copy(update={"exact": False})
    protocol = entry.protocol.model_copy(update=changes.get("protocol", {}))
    method = parse_method(changes["method"]) if "method" in changes else entry.method
    column = column.model_copy(update={"entries": (Procedure(method=method, protocol=protocol),)})
    other = grid.model_copy(update={"rows": (row,), "columns": (column,)})
    epochs = {run.id: [make_epoch("", 1, 145)] for run in other.runs(row, column)}
    assert compare_marks(other, row, epochs) == []


def test_more_epochs_are_compared() -> None:
    grid = grid_of("akrout2019", overrides=("protocol.epochs=400",))
    epochs = epochs_of(grid, "KP", {0: [make_epoch("", 400, 16)]})
    assert [one.mark.epoch for one in compare_marks(grid, grid.rows[0], epochs)] == [400]
