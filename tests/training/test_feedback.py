"""The table of feedback schemes (section 2), and the properties of the random draws."""

import pytest
import torch
from definitions import feedback_weights, sign
from hypothesis import given, settings
from hypothesis import strategies as st

from asymbp_cli.specs.feedback import Feedback
from asymbp_cli.training.draws import Uniform, batch_order, generator
from asymbp_cli.training.feedback.site import random_factor

W = torch.tensor([[0.5, -2.0, 0.0], [-0.0, 1e-30, -1e-30]])
SIGNS = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]])
M = torch.tensor([[0.25, 0.5, 0.75], [0.0, 1.0, 0.125]])
FLIPS = torch.tensor([[True, False, False], [False, True, True]])


def test_sign_is_never_zero() -> None:
    assert torch.equal(sign(W), SIGNS)


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("bp", W),
        ("usf", SIGNS),
        ("nusf", SIGNS / 12),
        ("brsf", M * SIGNS),
        ("frsf", M * SIGNS),
        ("rndf", W * 3),
    ],
)
def test_the_table_of_section_2(scheme: str, expected: torch.Tensor) -> None:
    found = feedback_weights(Feedback(scheme=scheme), W, M=M, random=W * 3, fan_in=12)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("scheme", ["brsf", "frsf"])
def test_flips_reverse_signs(scheme: str) -> None:
    flipped = feedback_weights(Feedback(scheme=scheme, flip_probability=0.5), W, M=M, flips=FLIPS)
    assert torch.equal(flipped, M * SIGNS * torch.tensor([[-1.0, 1, 1], [1, -1, -1]]))


@pytest.mark.parametrize("scheme", ["brsf", "frsf", "rndf"])
def test_a_missing_draw_is_an_error(scheme: str) -> None:
    with pytest.raises(ValueError, match="lacks its random draw"):
        feedback_weights(Feedback(scheme=scheme), W)


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.integers(0, 100))
def test_about_p_of_the_signs_flip_and_flips_are_nested(p: float, seed: int) -> None:
    count = 20_000
    magnitudes, uniform = (Uniform(seed, role, torch.empty(count)).next() for role in ("magnitudes", "flips"))
    assert magnitudes.min() >= 0
    assert magnitudes.max() <= 1
    flipped = random_factor(magnitudes, uniform, p).signbit()
    deviation = (p * (1 - p) / count) ** 0.5
    assert abs(flipped.float().mean().item() - p) <= 5 * deviation + 1e-9
    fewer = random_factor(magnitudes, uniform, p / 2).signbit()
    assert not (fewer & ~flipped).any()
    assert torch.equal(random_factor(magnitudes, uniform, p).abs(), magnitudes)


def test_p_of_0_and_1_flip_none_and_all() -> None:
    uniform = torch.tensor([0.0, 0.5, 1 - 2**-24])
    assert random_factor(torch.ones(3), uniform, 0.0).tolist() == [1, 1, 1]
    assert random_factor(torch.ones(3), uniform, 1.0).tolist() == [-1, -1, -1]


def test_draws_are_keyed_by_seed_role_and_epoch() -> None:
    def draw(seed: int, role: str, epoch: int, steps: int = 1) -> torch.Tensor:
        stream = Uniform(seed, role, torch.empty(8))
        stream.begin(epoch)
        return [stream.next().clone() for _ in range(steps)][-1]

    first = draw(0, "magnitudes", 1)
    assert torch.equal(draw(0, "magnitudes", 1), first)
    others = [draw(1, "magnitudes", 1), draw(0, "flips", 1), draw(0, "magnitudes", 2), draw(0, "magnitudes", 1, 2)]
    assert not any(torch.equal(other, first) for other in others)


def test_orders_are_permutations_that_change_with_the_epoch() -> None:
    one, two = (batch_order(0, epoch, 100) for epoch in (1, 2))
    assert sorted(one.tolist()) == list(range(100))
    assert not torch.equal(one, two)
    fixed = [batch_order(0, epoch, 100, "fixed") for epoch in (1, 2)]
    assert torch.equal(*fixed)
    assert generator("a", 1).initial_seed() != generator("a", 2).initial_seed()
