"""The schedule, the batch sizes, and which values make two runs the same run."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from asymbp_cli.specs.protocol import BatchSize, Phase, Protocol


def test_defaults_are_what_section_5_states() -> None:
    paper = Protocol()
    assert paper.epochs == 65
    assert paper.schedule() == ((50, 5e-4), (10, pytest.approx(5e-5)), (5, pytest.approx(5e-6)))
    assert paper.rate_multipliers == (100, 10, 1, 0.1, 0.01)
    assert (paper.batch_size, paper.momentum) == (100, 0.9)
    assert (paper.batch_norm_average, paper.batch_norm_batches) == (0.05, 20)
    assert paper.validation_fraction == 0


@pytest.mark.parametrize(
    ("epochs", "counts"),
    [
        (65, [50, 10, 5]),
        (20, [15, 3, 2]),
        (10, [8, 1, 1]),
        (5, [3, 1, 1]),
        (4, [2, 1, 1]),
        (3, [1, 1, 1]),
        (2, [1, 1]),
        (1, [1]),
        (130, [100, 20, 10]),
    ],
)
def test_phases_scale_with_the_epochs(epochs: int, counts: list[int]) -> None:
    assert [count for count, _ in Protocol(epochs=epochs).schedule()] == counts


PHASES = st.lists(st.builds(Phase, share=st.floats(0.01, 100), factor=st.just(1.0)), min_size=1, max_size=6)


@given(epochs=st.integers(1, 300), phases=PHASES)
def test_every_phase_has_an_epoch_where_there_are_enough(epochs: int, phases: list[Phase]) -> None:
    counts = [count for count, _ in Protocol(epochs=epochs, phases=tuple(phases)).schedule()]
    assert sum(counts) == epochs
    assert min(counts) >= 1
    assert len(counts) == min(epochs, len(phases))


@given(epochs=st.integers(3, 300))
def test_phases_keep_their_proportion(epochs: int) -> None:
    counts = [count for count, _ in Protocol(epochs=epochs).schedule()]
    for count, share in zip(counts, (10, 2, 1), strict=True):
        assert abs(count - epochs * share / 13) < 2


def test_the_rate_of_an_epoch() -> None:
    protocol = Protocol(epochs=5, base_rate=1.0)
    assert [protocol.rate(epoch) for epoch in range(1, 6)] == [1, 1, 1, 0.1, 0.01]
    with pytest.raises(ValueError, match="epoch 6 is beyond 5"):
        protocol.rate(6)


def test_the_batch_grows_from_the_epoch_named() -> None:
    """Section 5: uSF+BM's second procedure, 100 for three epochs, then 500."""
    growing = Protocol(batch_size=(BatchSize(from_epoch=1, size=100), BatchSize(from_epoch=4, size=500)))
    assert [growing.samples_per_batch(epoch) for epoch in (1, 3, 4, 65)] == [100, 100, 500, 500]
    assert Protocol(batch_size=7).samples_per_batch(9) == 7


GROWING = (BatchSize(from_epoch=1, size=100), BatchSize(from_epoch=4, size=500))


@pytest.mark.parametrize(
    ("epochs", "starts", "moved"),
    [
        (5, [1, 4], [1, 3]),  # the rate drops in epochs 4 and 5
        (4, [1, 4], [1, 2]),  # in 3 and 4
        (3, [1, 2], [1, 2]),  # in 2 and 3: there is no room
        (5, [1, 3, 4], [1, 3, 4]),  # nor here
        (5, [1, 2, 5], [1, 2, 3]),
        (65, [1, 4, 51], [1, 4, 50]),
    ],
)
def test_a_batch_size_begins_before_the_rate_drops(epochs: int, starts: list[int], moved: list[int]) -> None:
    def growing(starts: list[int]) -> Protocol:
        entries = (BatchSize(from_epoch=start, size=100 * start) for start in starts)
        return Protocol(epochs=epochs, batch_size=tuple(entries))

    found = growing(starts).growing_before_rate_drops().batch_size
    assert isinstance(found, tuple)
    assert [entry.from_epoch for entry in found] == moved
    assert [entry.size for entry in found] == [100 * start for start in starts]
    assert Protocol(epochs=epochs).growing_before_rate_drops() == Protocol(epochs=epochs)


@pytest.mark.parametrize(
    ("train_count", "short", "changes"),
    [
        (1437, True, {}),  # 15 mini-batches
        (1900, True, {}),
        (1901, False, {}),  # the last of 20 holds one sample
        (1999, True, {"last_batch": "drop"}),
        (2000, False, {"last_batch": "drop"}),
        (2000, True, {"validation_fraction": 0.1}),
        (2112, False, {"validation_fraction": 0.1}),
        (9500, True, {"batch_size": GROWING}),
        (9501, False, {"batch_size": GROWING}),
        (680, False, {"batch_norm_batches": 7}),
        (60_000, False, {}),
    ],
)
def test_epochs_are_short_if_they_have_fewer_batches_than_the_statistics_average(
    train_count: int, short: bool, changes: dict[str, Any]
) -> None:
    assert Protocol(**changes).has_short_epochs(train_count) is short


def test_epochs_are_short_by_what_classes_hold_out_if_that_is_known() -> None:
    protocol = Protocol(validation_fraction=0.2)
    assert not protocol.has_short_epochs(2400)  # 1920 samples by the share alone
    assert protocol.has_short_epochs(2400, held_out=500)  # 100 classes of 24, 5 of each
    assert not protocol.has_short_epochs(2400, held_out=499)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("epochs", value) for value in (0, -1, 1.5, "3", True, None)),
        *(("base_rate", value) for value in (0, -1e-3, "1e-3", True, float("nan"), float("inf"))),
        *(("rate_multipliers", value) for value in ([], [0], ["1"], [True], 1, [1, 1.0])),
        *(("batch_size", value) for value in (0, 1.5, "100", [], [{"from_epoch": 2, "size": 100}])),
        ("batch_size", [{"from_epoch": 1, "size": 100}, {"from_epoch": 1, "size": 500}]),
        ("batch_size", [{"from_epoch": 1, "size": 5}, {"from_epoch": 4, "size": 5}, {"from_epoch": 3, "size": 5}]),
        *(("momentum", value) for value in (-0.1, 1, "0.9")),
        *(("validation_fraction", value) for value in (-0.1, 1)),
        *(("decay_biases", value) for value in (1, "yes", None)),
        *(("phases", value) for value in ([], [{"share": 0, "factor": 1}], [{"share": 1}])),
        *(("gradient", "Sum"), ("zero_sign", 2), ("initialization", "glorot"), ("resize", "pad"), ("speed", 1)),
    ],
)
def test_values_that_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Protocol.model_validate({field: value})


@pytest.mark.parametrize(
    ("field", "value"), [("gradient_clip", 1e-46), ("adam_epsilon", 1e-46), ("gradient_clip", -1)]
)
def test_what_products_in_float32_lose_is_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        Protocol.model_validate({field: value})
    assert getattr(Protocol.model_validate({field: 1e-30}), field) == 1e-30
