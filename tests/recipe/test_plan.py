"""Grids, the runs of their cells, and stacks of runs."""

from collections import Counter
from itertools import groupby

import pytest
import small_study
from hypothesis import given, settings
from hypothesis import strategies as st

from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.errors import NetworkError, UsageError
from asymbp_cli.recipe import grid as plan
from asymbp_cli.recipe.grid import Grid, GridColumn, GridEntry
from asymbp_cli.recipe.network import input_shape
from asymbp_cli.recipe.recipe import load_recipe
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.recipe.table import load_table
from asymbp_cli.scheduling.stacks import plan_stacks
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.networks import NETWORKS, Network
from asymbp_cli.specs.protocol import BatchSize, Protocol
from asymbp_cli.specs.runs import Run, Stack

COUNTS = {"small": 100, "large": 1000}


def run(method: str = "SGD", dataset: str = "small", rate: float = 1.0, seed: int = 0, epochs: int = 4) -> Run:
    return Run(
        dataset=dataset,
        network=small_study.NETWORK,
        method=parse_method(method),
        protocol=Protocol(epochs=epochs),
        rate_multiplier=rate,
        seed=seed,
    )


def test_a_cell_takes_the_runs_of_all_its_entries() -> None:
    plain = Protocol()
    growing = Protocol(batch_size=(BatchSize(from_epoch=1, size=100), BatchSize(from_epoch=4, size=500)))
    entries = tuple(GridEntry(method=parse_method("uSF+BM"), protocol=p) for p in (plain, growing))
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


def test_a_row_resolves_the_network_for_its_classes() -> None:
    info = DecodedDataset(
        key="folder", label="pets", paper_name=None, exact=False, classes=("cat", "dog"), shape=(119, 119, 3),
        train_count=10, test_count=4, fingerprint="0", directory="/nowhere",
    )  # fmt: skip
    assert plan.row(info, None).network.layers[-3:] == ("FC 256", "FC 4", "FC 2")
    mine = Network(input=(119, 119, 3), layers=("FC classes",))
    assert plan.row(info, mine).network.layers == ("FC 2",)


def test_the_paper_stands_beside_its_own_network_only() -> None:
    info = DecodedDataset(
        key="mnist", label="MNIST", paper_name="MNIST", exact=True, classes=tuple("0123456789"), shape=(28, 28, 1),
        train_count=60_000, test_count=10_000, fingerprint="0", directory="/nowhere",
    )  # fmt: skip
    assert plan.row(info, None).paper_name == plan.row(info, NETWORKS["mnist"]).paper_name == "MNIST"
    other = plan.row(info, Network(input=(28, 28, 1), layers=("FC classes",)))
    assert other.paper_name is None
    assert "FC 10" in other.note


def test_a_network_of_vectors_takes_no_images() -> None:
    with pytest.raises(NetworkError, match="the network takes vectors of 1845, but photos holds images"):
        input_shape(NETWORKS["timit"], FolderSource(folder="photos"))
    with pytest.raises(
        NetworkError, match=r"the network takes images, but timit holds vectors of 1845\. Use input: 1845"
    ):
        input_shape(NETWORKS["large"], "timit")
    with pytest.raises(NetworkError, match="the network takes vectors of 7, but timit holds vectors of 1845"):
        input_shape(Network(input=(7,), layers=("FC classes",)), "timit")
    with pytest.raises(NetworkError, match="images have 1 or 3 channels, not 5"):
        input_shape(Network(input=(8, 8, 5), layers=("FC classes",)), "mnist")
    assert input_shape(NETWORKS["timit"], "timit") == (1845,)
    assert input_shape(NETWORKS["cifar"], "cifar10") == (32, 32, 3)


@pytest.mark.parametrize(("keys", "models"), [(("2", "3", "4", "5"), 36), (("2", "3", "4"), 32)])
def test_the_tables_ask_for_as_many_trainings_as_the_paper_made(keys: tuple[str, ...], models: int) -> None:
    """36 models on six datasets and 32 on nine, five rates each: 2,520 trainings."""
    tables = [table for key in keys for table in load_table(key)]
    grids = [plan.grid_of_table(table, Protocol(), "paper", [small_study.INFO]) for table in tables]
    runs = {run_id for grid in grids for run_id in grid.all_runs()}
    assert len(runs) == models * 5


def test_the_baseline_of_a_table_is_trained_even_where_it_is_no_column() -> None:
    (table,) = load_table("4-c2")
    grid = plan.grid_of_table(table, Protocol(), "paper", [small_study.INFO])
    assert grid.baseline is not None
    assert (grid.key, grid.baseline.header) == ("table-4-c2", "SGD")
    assert grid.baseline not in grid.columns
    baseline = grid.runs(grid.rows[0], grid.baseline)
    assert {run.method for run in baseline} == {parse_method("SGD")}
    assert {run.id for run in baseline} < set(grid.all_runs())


def test_a_recipe_makes_a_grid_of_its_methods_and_seeds() -> None:
    recipe = load_recipe(recipes_directory() / "examples" / "grid.yaml")
    grid = plan.grid_of_recipe(recipe, [small_study.INFO])
    assert grid.key == "recipe-grid"
    assert [column.header for column in grid.columns] == [entry.label for entry in recipe.methods]
    assert grid.baseline == grid.columns[0]
    runs = len(recipe.methods) * len(recipe.seeds) * len(recipe.protocol.rate_multipliers)
    assert len(grid.all_runs()) == runs
    assert grid.protocol_label == recipe.protocol_label


def test_both_procedures_of_usf_bm_are_told_whatever_batch_size_is_set() -> None:
    (table,) = load_table("2")
    grid = plan.grid_of_table(table, Protocol(batch_size=50), "paper with batch_size=50", [small_study.INFO])
    notes = {column.header: column.note for column in grid.columns if column.note}
    ways = "as the protocol says; or batch_size 100 from epoch 1, 500 from epoch 4"
    assert notes == {"uSF+BM": f"the better of 2 procedures: {ways}"}
    assert all(column.paper_name == column.header for column in grid.columns)


def test_the_name_of_a_recipe_cannot_hide_a_table() -> None:
    recipe = load_recipe(recipes_directory() / "examples" / "grid.yaml").model_copy(update={"name": "table-2"})
    grid = plan.grid_of_recipe(recipe, [small_study.INFO])
    assert grid.key == "recipe-table-2"


def test_what_is_told_of_a_column_is_no_part_of_a_grids_identity() -> None:
    grid = small_study.grid("SGD", "uSF")
    told = [column.model_copy(update={"paper_name": "uSF", "note": "x"}) for column in grid.columns]
    assert plan.grid_id(grid.model_copy(update={"columns": tuple(told)})) == plan.grid_id(grid)
    assert plan.grid_id(grid) != plan.grid_id(small_study.grid("SGD", "NuSF"))


def test_a_missing_dataset_has_a_row_without_runs_until_it_is_here() -> None:
    (table,) = load_table("2")
    mnist = small_study.INFO.model_copy(update={"key": "mnist", "label": "MNIST", "paper_name": "MNIST"})
    rows = [small_study.INFO, mnist]
    grid = plan.grid_of_table(table, Protocol(), "paper", rows[:1], missing=["svhn", "mnist"])
    assert [row.label for row in grid.rows] == ["MNIST", "SVHN", "digits"]  # the paper's order, others behind
    assert grid.runs(grid.rows[1], grid.columns[0]) == ()
    here = plan.grid_of_table(table, Protocol(), "paper", rows)
    for both in (plan.joined(grid, here), plan.joined(here, grid)):
        assert [(row.label, row.dataset is None) for row in both.rows] == [
            ("MNIST", False),
            ("SVHN", True),
            ("digits", False),
        ]


def test_two_rows_of_one_name_are_refused() -> None:
    plan.check_distinct(["MNIST", "digits"], "datasets")
    with pytest.raises(UsageError, match='two datasets are called "MNIST"'):
        plan.check_distinct(["MNIST", "digits", "MNIST"], "datasets")


def pack(
    runs: list[Run], saved: dict[str, int] | None = None, *, replicas: int = 5, workers: int = 1
) -> list[Stack]:
    return plan_stacks(runs, saved or {}, COUNTS, max_replicas=lambda run: replicas, workers=workers)


def test_one_worker_gets_full_stacks_with_like_methods_side_by_side() -> None:
    rates = (100.0, 10.0, 1.0, 0.1, 0.01)
    runs = [run(method, rate=rate) for rate in rates for method in ("uSF", "BM", "SGD", "NuSF")]
    found = pack(runs)
    assert [len(stack.runs) for stack in found] == [5, 5, 5, 5]
    for stack in found:
        assert len({(r.method.feedback, r.method.update) for r in stack.runs}) == 1
        assert [r.rate_multiplier for r in stack.runs] == list(rates)
    (whole,) = pack(runs, replicas=64)
    assert len(list(groupby(whole.runs, key=lambda r: (r.method.feedback, r.method.update)))) == 4


@pytest.mark.parametrize(("runs", "workers"), [(5, 2), (5, 4), (5, 5), (8, 3), (20, 8), (3, 8)])
def test_every_worker_has_work(runs: int, workers: int) -> None:
    found = pack([run(rate=1.0 + i) for i in range(runs)], workers=workers)
    assert len(found) >= min(runs, workers)


def test_no_worker_waits_for_a_dear_stack() -> None:
    """Five runs on a large dataset cost as much as all the rest; two workers must share them."""
    runs = [run(dataset="large", rate=1.0 + i) for i in range(5)]
    runs += [run(method, rate=1.0 + i) for i in range(5) for method in ("SGD", "BM", "uSF", "NuSF")]
    cost = {stack.id: len(stack.runs) * COUNTS[stack.runs[0].dataset] for stack in pack(runs, workers=2)}
    free = [0, 0]  # list scheduling: the next stack goes to the worker that is free first
    for value in cost.values():
        free[free.index(min(free))] += value
    assert max(free) - min(free) <= 1000  # one run on the large dataset
    assert sum(free) == 7000


def test_dearest_first_and_what_remains_counts() -> None:
    nearly, fresh, large = run(epochs=60), run(epochs=10), run(dataset="large", epochs=2)
    found = pack([fresh, nearly, large], {nearly.id: 59})
    assert [stack.runs for stack in found] == [(large,), (fresh,), (nearly,)]
    assert [stack.start_epoch for stack in found] == [0, 0, 59]


METHODS = ("SGD", "BM", "BN", "uSF+BN", "brSF+BN+BM", "SGD Top", "RndF Top")
RUNS = st.builds(
    run,
    method=st.sampled_from(METHODS),
    dataset=st.sampled_from(["small", "large"]),
    rate=st.sampled_from([0.1, 1.0, 10.0]),
    seed=st.integers(0, 1),
)


@settings(max_examples=50, deadline=None)
@given(
    runs=st.lists(RUNS, min_size=1, max_size=30, unique_by=lambda r: r.id),
    saved=st.lists(st.integers(0, 2), min_size=30, max_size=30),
    replicas=st.integers(1, 6),
    workers=st.integers(1, 4),
    data=st.data(),
)
def test_stacks_are_a_partition_that_does_not_depend_on_the_order_asked(
    runs: list[Run], saved: list[int], replicas: int, workers: int, data: st.DataObject
) -> None:
    epochs = {r.id: epoch for r, epoch in zip(runs, saved, strict=False)}
    found = pack(runs, epochs, replicas=replicas, workers=workers)
    assert Counter(r.id for stack in found for r in stack.runs) == Counter(r.id for r in runs)
    for stack in found:
        assert 1 <= len(stack.runs) <= replicas
        assert len({r.stack_key for r in stack.runs}) == 1
        assert {epochs[r.id] for r in stack.runs} == {stack.start_epoch}
    shuffled = data.draw(st.permutations(runs))
    assert pack(shuffled, epochs, replicas=replicas, workers=workers) == found


def test_a_cell_of_two_methods_stands_for_neither() -> None:
    protocol = Protocol()
    usf, sgd = (plan.GridEntry(method=parse_method(name), protocol=protocol) for name in ("uSF", "SGD"))
    mixed = plan.column("mine", [usf, sgd], protocol)
    assert mixed.paper_name is None
    assert mixed.note == "the better of 2 procedures: uSF, as the protocol says; or SGD, as the protocol says"
    changed = plan.GridEntry(method=usf.method, protocol=protocol.model_copy(update={"weight_decay": 0.0}))
    twice = plan.column("twice", [usf, changed], protocol)
    assert (twice.paper_name, twice.note) == (
        "uSF",
        "the better of 2 procedures: as the protocol says; or weight_decay 0.0",
    )
    assert (plan.column("uSF", [usf], protocol).paper_name, plan.column("uSF", [usf], protocol).note) == (
        "uSF",
        "",
    )


def test_a_grid_knows_its_protocol_where_every_column_differs_from_it() -> None:
    changed = Protocol(weight_decay=0.0)
    entry = plan.GridEntry(method=parse_method("SGD"), protocol=changed)
    grid = plan.Grid(
        key="k",
        title="t",
        columns=(plan.column("SGD", [entry], Protocol()),),
        rows=(),
        protocol_label="paper",
        base=Protocol(),
    )
    assert grid.protocol == Protocol()
    old = grid.model_copy(update={"base": None})
    assert old.protocol == changed  # kept before grids knew
    assert plan.grid_id(old) == plan.grid_id(grid)
