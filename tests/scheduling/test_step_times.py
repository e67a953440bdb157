"""Times of steps: between and beyond the sizes of stacks that were measured, and of kinds that were not."""

import pytest
import small_study

from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.scheduling.step_times import StepTimes
from asymbp_cli.specs.runs import StepKind

DIGITS = StepKind(small_study.NETWORK, "none", "all", 100, "standard")
MNIST, CIFAR = (DIGITS._replace(network=NETWORKS[name].resolve(10)) for name in ("mnist", "cifar"))


def times(**seconds: float) -> StepTimes:
    """Return times of the digits network by the size of stacks: `of_4=0.2`."""
    return make({DIGITS: {int(name.removeprefix("of_")): value for name, value in seconds.items()}})


def make(seconds: dict[StepKind, dict[int, float]]) -> StepTimes:
    return StepTimes("cuda", "a GPU", "measured", None, seconds)


@pytest.mark.parametrize(
    ("replicas", "expected"), [(1, 1.0), (3, 2.0), (5, 3.0), (9, 7.0), (13, 11.0), (26, 22.0)]
)
def test_between_two_sizes_it_is_on_a_line_and_beyond_the_largest_in_proportion(
    replicas: int, expected: float
) -> None:
    assert times(of_1=1.0, of_5=3.0, of_13=11.0).stack_seconds(DIGITS, replicas) == pytest.approx(expected)


def test_a_smaller_stack_than_any_takes_no_longer_than_the_smallest() -> None:
    assert times(of_4=2.0).stack_seconds(DIGITS, 1) == 2.0


def test_where_one_run_was_measured_a_stack_takes_as_long_as_its_runs_alone() -> None:
    assert times(of_1=0.3).stack_seconds(DIGITS, 5) == pytest.approx(1.5)


def test_other_widths_and_mini_batches_take_as_long_for_each_flop() -> None:
    wider = DIGITS._replace(network=NETWORKS["digits"].resolve(100), batch_size=200)
    found, flop = times(of_1=0.3), [kind.network.flop_per_sample() for kind in (DIGITS, wider)]
    assert found.stack_seconds(wider, 1) == pytest.approx(0.3 * 2 * flop[1] / flop[0])
    assert found.knows(wider)


def test_another_network_is_like_the_one_whose_flop_are_nearest() -> None:
    found = make({DIGITS: {1: 1.0}, CIFAR: {1: 50.0}})
    large = DIGITS._replace(network=NETWORKS["large"].resolve(102))
    assert found.nearest(large) == CIFAR
    assert not found.knows(large)
    ratio = large.network.flop_per_sample() / CIFAR.network.flop_per_sample()
    assert found.stack_seconds(large, 1) == pytest.approx(50 * ratio)


def test_the_network_counts_more_than_normalization_and_this_more_than_trained_layers() -> None:
    normalized, top = DIGITS._replace(batch_norm="plain"), DIGITS._replace(train="top")
    assert make({MNIST._replace(batch_norm="plain"): {1: 1.0}, DIGITS: {1: 2.0}}).nearest(normalized) == DIGITS
    assert make({DIGITS: {1: 1.0}, normalized: {1: 2.0}}).nearest(top._replace(batch_norm="plain")) == normalized
    assert make({DIGITS: {1: 1.0}, top: {1: 2.0}}).nearest(top) == top


def test_a_network_whose_last_layer_trains_goes_forward_only() -> None:
    top = DIGITS._replace(train="top")
    assert times(of_1=0.3).stack_seconds(top, 1) == pytest.approx(0.1)
    assert times(of_1=0.3).stack_seconds(DIGITS._replace(train="bottom"), 1) == pytest.approx(0.3)
    assert make({DIGITS: {1: 0.3}, top: {1: 0.2}}).stack_seconds(top, 1) == 0.2


def test_a_scheme_that_was_not_measured_takes_as_long_for_each_multiplication() -> None:
    """WM of a layer makes five products where others make three, and the first layer two: as counted by hand."""
    mirrored = DIGITS._replace(scheme="wm")
    first, *fed = (operation.flop for operation in small_study.NETWORK.weighted())
    ratio = (2 * first + 5 * sum(fed)) / (2 * first + 3 * sum(fed))
    assert times(of_1=0.3).stack_seconds(mirrored, 1) == pytest.approx(0.3 * ratio)
    assert not times(of_1=0.3).knows(mirrored)
    measured = make({DIGITS: {1: 0.3}, mirrored: {1: 0.7}})
    assert measured.knows(mirrored)
    assert measured.stack_seconds(mirrored, 1) == 0.7


def test_another_precision_is_not_known() -> None:
    half = DIGITS._replace(precision="bf16")
    assert not times(of_1=0.3).knows(half)
    assert make({DIGITS: {1: 1.0}, MNIST._replace(precision="bf16"): {1: 2.0}}).nearest(half).precision == "bf16"
