"""Grids: the runs of their cells, their identity, and how two become one."""

from collections import Counter

import pytest
import small_study

from asymbp_cli.recipe.build import make_column, make_table_grid
from asymbp_cli.recipe.grid import Grid, GridColumn, grid_id, merge_grids
from asymbp_cli.recipe.procedure import Procedure
from asymbp_cli.recipe.table import load_table
from asymbp_cli.specs import runs
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import BatchSize, Protocol


def test_a_cell_takes_the_runs_of_all_its_entries() -> None:
    plain = Protocol()
    growing = Protocol(batch_size=(BatchSize(from_epoch=1, size=100), BatchSize(from_epoch=4, size=500)))
    entries = tuple(Procedure(method=parse_method("uSF+BM"), protocol=p) for p in (plain, growing))
    both = GridColumn(header="uSF+BM", entries=entries)
    grid = small_study.grid().model_copy(update={"columns": (both,), "seeds": (0, 1)})
    runs = grid.runs(grid.rows[0], both)
    assert len(runs) == len({run.id for run in runs}) == 2 * 2 * 5
    assert Counter(run.seed for run in runs) == {0: 10, 1: 10}
    assert {run.network for run in runs} == {small_study.NETWORK}


def test_a_baseline_that_is_no_column_is_among_the_runs_and_one_that_is_counts_once() -> None:
    assert len(small_study.grid("SGD", "uSF").all_runs()) == 4
    assert len(small_study.grid("uSF").all_runs()) == 4


def test_a_grid_survives_json() -> None:
    grid = small_study.grid()
    assert Grid.model_validate_json(grid.model_dump_json()) == grid


def test_what_a_column_says_is_no_part_of_a_grids_identity() -> None:
    grid = small_study.grid("SGD", "uSF")
    columns = [column.model_copy(update={"paper_name": "uSF", "note": "x"}) for column in grid.columns]
    assert grid_id(grid.model_copy(update={"columns": tuple(columns)})) == grid_id(grid)
    assert grid_id(grid) != grid_id(small_study.grid("SGD", "NuSF"))


def test_short_epochs_are_named_only_by_runs_that_they_change() -> None:
    cycling = Protocol(batch_norm_short_epochs="cycle")
    columns = tuple(small_study.column(name, cycling) for name in ("SGD", "uSF+BN", "BN+BM"))
    few, many = (
        small_study.row().model_copy(update={"train_count": count, "dataset": f"{count:064}"})
        for count in (1437, 60_000)
    )
    grid = small_study.grid().model_copy(update={"columns": columns, "baseline": None, "rows": (few, many)})
    kinds = {
        (row.train_count, column.header): {run.protocol.batch_norm_short_epochs for run in grid.runs(row, column)}
        for row in grid.rows
        for column in grid.columns
    }
    named = {key for key, values in kinds.items() if values == {"cycle"}}
    assert named == {(1437, "uSF+BN"), (1437, "BN+BM")}
    assert all(values == {"once"} for key, values in kinds.items() if key not in named)


def test_a_row_of_an_early_store_keeps_its_runs_when_a_later_table_takes_it_in() -> None:
    before = small_study.grid("SGD", "uSF+BN")
    cycling = before.columns[0].entries[0].protocol.model_copy(update={"batch_norm_short_epochs": "cycle"})
    columns = tuple(small_study.column(name, cycling) for name in ("SGD", "uSF+BN"))
    other = small_study.row("e" * 64).model_copy(update={"train_count": 680})
    after = merge_grids(before, before.model_copy(update={"columns": columns, "rows": (other,)}))
    assert [row.train_count for row in after.rows] == [None, 680]
    kept, new = ({run.id for column in after.columns for run in after.runs(row, column)} for row in after.rows)
    assert kept == set(before.all_runs())
    assert not kept & new


def test_a_row_knows_what_its_classes_hold_out_and_never_forgets_it() -> None:
    share = Protocol(batch_norm_short_epochs="cycle", validation_fraction=0.2)
    known = small_study.row().model_copy(update={"train_count": 2400, "held_out": 500})
    early = known.model_copy(update={"held_out": None})
    columns = (small_study.column("uSF+BN", share),)
    exact, rough = (
        small_study.grid().model_copy(update={"columns": columns, "baseline": None, "rows": (row,)})
        for row in (known, early)
    )
    named = [{run.protocol.batch_norm_short_epochs for run in grid.all_runs().values()} for grid in (exact, rough)]
    assert named == [{"cycle"}, {"once"}]
    assert merge_grids(exact, rough).rows == merge_grids(rough, exact).rows == (known,)


def test_short_epochs_are_no_part_of_a_grids_identity() -> None:
    """So a table asked for again replaces that of an earlier version, which averaged short epochs once."""
    rows = (small_study.row().model_copy(update={"train_count": 1437}),)
    before = small_study.grid("SGD", "uSF+BN", rows=rows)
    cycling = before.columns[0].entries[0].protocol.model_copy(update={"batch_norm_short_epochs": "cycle"})
    columns = tuple(small_study.column(column.header, cycling) for column in before.columns)
    after = before.model_copy(update={"columns": columns})
    assert set(after.all_runs()) != set(before.all_runs())
    assert grid_id(after) == grid_id(before)


def test_a_missing_dataset_has_a_row_without_runs_until_it_is_here() -> None:
    (table,) = load_table("2")
    mnist = small_study.INFO.model_copy(update={"key": "mnist", "label": "MNIST", "paper_name": "MNIST"})
    rows = [small_study.INFO, mnist]
    grid = make_table_grid(table, Protocol(), "paper", rows[:1], missing=["svhn", "mnist"])
    assert [row.label for row in grid.rows] == ["MNIST", "SVHN", "digits"]  # the paper's order, then others
    assert grid.runs(grid.rows[1], grid.columns[0]) == ()
    here = make_table_grid(table, Protocol(), "paper", rows)
    for both in (merge_grids(grid, here), merge_grids(here, grid)):
        assert [(row.label, row.dataset is None) for row in both.rows] == [
            ("MNIST", False),
            ("SVHN", True),
            ("digits", False),
        ]


def test_a_grid_knows_its_protocol_where_every_column_differs_from_it() -> None:
    changed = Protocol(weight_decay=0.0)
    entry = Procedure(method=parse_method("SGD"), protocol=changed)
    grid = Grid(
        key="k",
        title="t",
        columns=(make_column("SGD", [entry], Protocol()),),
        rows=(),
        protocol_label="paper",
        base=Protocol(),
    )
    assert grid.protocol == Protocol()
    old = grid.model_copy(update={"base": None})
    assert old.protocol == changed  # kept before grids knew
    assert grid_id(old) == grid_id(grid)


@pytest.mark.parametrize(
    ("path", "at_first", "other"),
    [(("protocol", "order"), "reshuffle", "fixed"), (("method", "feedback", "sigma"), 0.05, 0.1)],
)
def test_younger_fields_are_no_part_of_a_tables_identity_at_their_first_values(
    path: tuple[str, ...], at_first: object, other: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grid(value: object) -> Grid:
        protocol, method = Protocol(), parse_method("RndF")
        if path[0] == "protocol":
            protocol = protocol.model_copy(update={path[-1]: value})
        else:
            feedback = method.feedback.model_copy(update={path[-1]: value})
            method = method.model_copy(update={"feedback": feedback})
        column = GridColumn(header="RndF", entries=(Procedure(method=method, protocol=protocol),))
        return Grid(key="k", title="t", columns=(column,), baseline=column, rows=(), protocol_label="paper")

    was = {value: grid_id(grid(value)) for value in (at_first, other)}
    monkeypatch.setitem(runs.ADDED_LATER, path, at_first)
    assert grid_id(grid(other)) == was[other]
    assert grid_id(grid(at_first)) not in was.values()
