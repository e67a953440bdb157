"""Grids, the runs of their cells, and stacks of runs."""

from collections import Counter
from itertools import groupby

import pytest
import small_study
from hypothesis import given, settings
from hypothesis import strategies as st

from asymbp_cli import plan
from asymbp_cli.datasets.info import DataInfo
from asymbp_cli.errors import NetworkError
from asymbp_cli.methods import parse_method
from asymbp_cli.networks import NETWORKS, Network
from asymbp_cli.plan import Grid, GridColumn, GridEntry
from asymbp_cli.protocol import BatchSize, Protocol
from asymbp_cli.runs import Run, Stack

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
    info = DataInfo(
        key="folder", label="pets", paper_name=None, exact=False, classes=("cat", "dog"), shape=(119, 119, 3),
        train_count=10, test_count=4, fingerprint="0", directory="/nowhere",
    )  # fmt: skip
    assert plan.row(info, None).network.layers[-3:] == ("FC 256", "FC 4", "FC 2")
    mine = Network(input=(119, 119, 3), layers=("FC classes",))
    assert plan.row(info, mine).network.layers == ("FC 2",)


def test_the_paper_stands_beside_its_own_network_only() -> None:
    info = DataInfo(
        key="mnist", label="MNIST", paper_name="MNIST", exact=True, classes=tuple("0123456789"), shape=(28, 28, 1),
        train_count=60_000, test_count=10_000, fingerprint="0", directory="/nowhere",
    )  # fmt: skip
    assert plan.row(info, None).paper_name == plan.row(info, NETWORKS["mnist"]).paper_name == "MNIST"
    other = plan.row(info, Network(input=(28, 28, 1), layers=("FC classes",)))
    assert other.paper_name is None
    assert "FC 10" in other.note


def test_a_network_of_vectors_takes_no_images() -> None:
    with pytest.raises(NetworkError, match="takes vectors of 1845, but folder holds images"):
        plan.input_shape(NETWORKS["timit"], "folder")
    assert plan.input_shape(NETWORKS["cifar"], "cifar10") == (32, 32, 3)


def pack(
    runs: list[Run], saved: dict[str, int] | None = None, *, replicas: int = 5, workers: int = 1
) -> list[Stack]:
    return plan.stacks(runs, saved or {}, COUNTS, max_replicas=replicas, workers=workers)


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
