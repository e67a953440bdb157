"""Section 3's update rules against hand-worked steps and torch.optim.SGD."""

import pytest
import torch
from definitions import update
from torch import Tensor

from asymbp_cli.training.draws import generator
from asymbp_cli.training.optim import propose_by_adam_


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


#: rate 0.1, momentum 0.5, decay 0.2, from w = 1 with g = 3, -0.5, 0: w after each step, worked by hand
BY_HAND = {
    # tau: -3 - 0.2 = -3.2; 0.5 - 1.6 - 0.136 = -1.236; -0.618 - 0.11128 = -0.72928
    "sgd": (0.68, 0.5564, 0.483472),
    # tau: -1 - 0.2 = -1.2; 1 - 0.6 - 0.176 = 0.224; 0 + 0.112 - 0.18048 = -0.06848
    "bm1": (0.88, 0.9024, 0.895552),
    # tau: sign(-1.2) = -1; sign(1 - 0.5 - 0.18) = 1; sign(0 + 0.5 - 0.2) = 1
    "bm2": (0.9, 1.0, 1.1),
    # kappa: -1.2 -> -1; 1 - 0.6 - 0.18 = 0.22 -> 1; 0 + 0.11 - 0.2 = -0.09 -> -1
    "bm3": (0.9, 1.0, 0.9),
}


@pytest.mark.parametrize("setting", BY_HAND)
def test_three_steps_by_hand(setting: str) -> None:
    w, state = vector(1.0), vector(0.0)
    for gradient, expected in zip((3.0, -0.5, 0.0), BY_HAND[setting], strict=True):
        g = vector(gradient)
        w, state = update(setting, w, g, state, rate=0.1, momentum=0.5, decay=0.2)  # type: ignore[arg-type]
        assert w.item() == pytest.approx(expected, abs=1e-12)
        assert g.item() == gradient  # arguments stay as they are


@pytest.mark.parametrize("nesterov", [False, True])
def test_setting_0_is_torch_sgd_with_momentum_and_decay(nesterov: bool) -> None:
    source = generator("sgd")
    start = torch.randn(50, dtype=torch.float64, generator=source)
    parameter = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.SGD([parameter], lr=0.03, momentum=0.9, weight_decay=5e-4, nesterov=nesterov)
    w, state = start.clone(), torch.zeros_like(start)
    for step in range(200):
        g = torch.randn(50, dtype=torch.float64, generator=source)
        rate = 0.03 if step < 100 else 0.003  # momentum is kept when the rate changes
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = g.clone()
        optimizer.step()
        w, state = update("sgd", w, g, state, rate=rate, momentum=0.9, decay=5e-4, nesterov=nesterov)
        torch.testing.assert_close(w, parameter.detach(), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.5)])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam_is_torch_adam(betas: tuple[float, float], decay: float) -> None:
    source = generator("adam")
    start = torch.randn(2, 50, dtype=torch.float64, generator=source)
    parameters = [torch.nn.Parameter(row.clone()) for row in start]
    rates = torch.tensor([[0.03], [0.001]], dtype=torch.float64)
    optimizers = [
        torch.optim.Adam([row], lr=rate.item(), betas=betas, eps=1e-4, weight_decay=decay)
        for row, rate in zip(parameters, rates, strict=True)
    ]
    w, state = start.clone(), start.new_zeros(2, 2, 50)
    for step in range(1, 101):
        g = torch.randn(2, 50, dtype=torch.float64, generator=source)
        if step == 50:
            rates = rates / 10
        for row, of_row, rate, optimizer in zip(parameters, g, rates, optimizers, strict=True):
            optimizer.param_groups[0]["lr"] = rate.item()
            row.grad = of_row.clone()
            optimizer.step()
        numbers = {"decay": torch.tensor(decay, dtype=torch.float64), "steps": torch.tensor(float(step)).double()}
        propose_by_adam_(w, g, state, rate=rates, betas=betas, epsilon=1e-4, **numbers)
        w = g
        torch.testing.assert_close(w, torch.stack([row.detach() for row in parameters]), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("zero_sign", "expected"), [(0, 0.0), (1, -1.0)])
def test_the_sign_of_an_exact_zero(zero_sign: int, expected: float) -> None:
    w, _ = update("bm1", vector(0.0), vector(0.0), vector(0.0), rate=1, momentum=0, decay=0, zero_sign=zero_sign)
    assert w.item() == expected


def test_signs_of_extreme_gradients() -> None:
    g = torch.tensor([1e-45, -1e-45, 3e38, -torch.inf, torch.nan])
    w, _ = update("bm1", torch.zeros(5), g, torch.zeros(5), rate=1, momentum=0, decay=0)
    assert w[:4].tolist() == [-1, 1, -1, 1]
    assert w[4].isnan()  # a broken gradient is not taken for zero


@pytest.mark.parametrize("setting", BY_HAND)
def test_columns_of_a_stack_equal_single_numbers(setting: str) -> None:
    source = generator("columns")
    w, g, state = (torch.randn(3, 40, dtype=torch.float64, generator=source) for _ in range(3))
    rate, momentum, decay = (torch.rand(3, 1, dtype=torch.float64, generator=source) for _ in range(3))
    together = update(setting, w, g, state, rate=rate, momentum=momentum, decay=decay)  # type: ignore[arg-type]
    for i in range(3):
        alone = update(
            setting,  # type: ignore[arg-type]
            w[i],
            g[i],
            state[i],
            rate=rate[i].item(),
            momentum=momentum[i].item(),
            decay=decay[i].item(),
        )
        torch.testing.assert_close((together[0][i], together[1][i]), alone, rtol=0, atol=1e-15)
