"""Stacks of runs: what trains together, and which stack goes first."""

from collections import Counter
from itertools import groupby

import pytest
import small_study
from hypothesis import given, settings
from hypothesis import strategies as st

from asymbp_cli.scheduling.multiplications import flop_per_sample
from asymbp_cli.scheduling.stacks import plan_stacks
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol
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


def test_schemes_that_compute_more_go_first() -> None:
    names = [stack.runs[0].method.feedback.scheme for stack in pack([run("SGD"), run("WM"), run("PFA")])]
    assert names == ["pfa", "wm", "bp"]


def test_a_mirror_of_the_first_layer_costs_two_products_of_it() -> None:
    plain, mirrored = (
        run("WM").model_copy(update={"protocol": Protocol(measure=measure)})
        for measure in ((), ("first-layer-feedback",))
    )
    first = small_study.NETWORK.weighted()[0].flop
    assert flop_per_sample(mirrored) == flop_per_sample(plain) + 2 * first
    assert flop_per_sample(run("uSF")) == small_study.NETWORK.flop_per_sample() < flop_per_sample(plain)


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
