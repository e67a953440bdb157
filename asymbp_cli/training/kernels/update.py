"""Update, feedback weights and the test for finite numbers, as one Triton kernel over a stack's banks.

`update.plain` defines what is computed. There it takes 17 passes over the banks, here 7. Each program of the
kernel has `BLOCK` columns of one row. Another program may find that the row is not finite: so the old weights
stay in the bank of gradients, and a second kernel takes them back. It does nothing for all other rows.

A row is not finite if one of its numbers is not. (The plain operations look at sums, which overflow first.)
"""

from collections.abc import Iterator, Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from asymbp_cli.training.bank import Bank, Segment
from asymbp_cli.training.kernels import FUSED
from asymbp_cli.training.optim import weight_of_steps

_BLOCK = 1024


@triton.jit
def _sign(x, zero_sign: tl.constexpr):
    """Return the sign of x: of 0 it is x or, if `zero_sign`, 1; not-a-number stays."""
    found = tl.where(x > 0, 1.0, tl.where(x < 0, -1.0, x))
    if zero_sign:
        found = tl.where(x == 0, 1.0, found)
    return found


@triton.jit
def _rounded(x, dtype: tl.constexpr):
    """Return x, float32, in `dtype`; to bf16 rounded to the nearest, ties to even, as torch rounds."""
    if dtype == tl.bfloat16:
        bits = x.to(tl.int32, bitcast=True)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & -0x10000
        x = tl.where(x == x, bits.to(tl.float32, bitcast=True), x)  # the bits of not-a-number may overflow
    return x.to(dtype)


@triton.jit
def _write(
    weight, row, column, inside, width, weights, working, values, factors, slots, own_rows, size,
    ROUNDED: tl.constexpr,
):  # fmt: skip
    """Store a row's weights, also as products take them, and V = W or F o sign(W) for the columns below `size`."""
    at = row * width + column
    tl.store(weights + at, weight, inside)
    if ROUNDED:
        weight = _rounded(weight, working.dtype.element_ty)
        tl.store(working + at, weight, inside)
        weight = weight.to(tl.float32)
    slot = tl.load(slots + row)
    fed = inside & (column < size) & (slot != 0)
    factor = tl.load(factors + (slot - 2).to(tl.int64) * size + column, fed & (slot > 1), other=1.0)
    negative = weight.to(tl.int32, bitcast=True) < 0  # also of -0.0
    v = tl.where(slot < 0, weight, tl.where(negative, -factor, factor))
    tl.store(
        values + tl.load(own_rows + row).to(tl.int64) * size + column, _rounded(v, values.dtype.element_ty), fed
    )


@triton.jit
def _step(
    weight, g, kept, setting, rate, momentum, decay, inside,
    SIGNS: tl.constexpr, ZERO_SIGN: tl.constexpr, NESTEROV: tl.constexpr,
):  # fmt: skip
    """Return the next weights by the settings of the paper; overwrite the state at `kept`."""
    s = tl.load(kept, inside, other=0.0)
    if SIGNS:
        g = tl.where(setting > 0, _sign(g, ZERO_SIGN), g)
    s = momentum * s - g - decay * weight
    tau = momentum * s - g - decay * weight if NESTEROV else s
    if SIGNS:
        if NESTEROV:
            tau = tl.where(setting == 0, tau, s)
        tau = tl.where(setting > 1, _sign(s, ZERO_SIGN), tau)
        s = tl.where(setting == 2, tau, s)
    tl.store(kept, s, inside)
    return weight + rate * tau


@triton.jit
def _step_by_adam(
    weight, g, kept, kept_square, rate, decay, of_mean, beta2, of_square, epsilon, corrections, inside
):  # fmt: skip
    """Return the next weights, and the averages of squares; overwrite both averages where they are kept."""
    mean, square = tl.load(kept, inside, other=0.0), tl.load(kept_square, inside, other=0.0)
    g += decay * weight
    mean += of_mean * (g - mean)
    square = beta2 * square + of_square * g * g
    tl.store(kept, mean, inside)
    tl.store(kept_square, square, inside)
    size_of_g = tl.div_rn(tl.sqrt_rn(square), tl.load(corrections + 1)) + epsilon
    return weight - tl.div_rn(rate, tl.load(corrections)) * tl.div_rn(mean, size_of_g), square


@triton.jit
def _advance(
    weights, gradients, state, working, values, factors, slots, own_rows, settings, rates, alive, intact,
    corrections, first, last, width, size, momentum, decay, of_mean, beta2, of_square, epsilon,
    TRAINED: tl.constexpr, SIGNS: tl.constexpr, USED: tl.constexpr, ZERO_SIGN: tl.constexpr,
    NESTEROV: tl.constexpr, ADAM: tl.constexpr, ROUNDED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Apply the update rule of each living row to the columns from `first` to `last`; keep the old weights.

    Adam's averages take the shares `of_mean` and `of_square` of a gradient and of its square.
    """
    row = tl.program_id(1).to(tl.int64)
    if tl.load(alive + row) != 0:
        column = first + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        inside = column < last
        at = row * width + column
        weight = tl.load(weights + at, inside, other=0.0)
        if TRAINED:
            old, g, rate = weight, tl.load(gradients + at, inside, other=0.0), tl.load(rates + row)
            if ADAM:
                kept = state + row * 2 * width + column
                weight, square = _step_by_adam(
                    old, g, kept, kept + width, rate, decay, of_mean, beta2, of_square, epsilon, corrections,
                    inside,
                )  # fmt: skip
                seen = weight + square
            else:
                weight = _step(
                    old, g, state + at, tl.load(settings + row), rate, momentum, decay, inside,
                    SIGNS, ZERO_SIGN, NESTEROV,
                )  # fmt: skip
                seen = weight
            tl.store(gradients + at, old, inside)
            if USED:
                broken = inside & ((seen - seen) != 0)  # infinite, or not a number
                tl.store(intact + row + 0 * column, 0, broken)
        _write(
            weight, row, column, inside, width, weights, working, values, factors, slots, own_rows, size, ROUNDED
        )


@triton.jit
def _restore(
    weights, gradients, working, values, factors, slots, own_rows, alive, intact,
    first, last, width, size, ROUNDED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Take back the update of each row that it has broken."""
    row = tl.program_id(1).to(tl.int64)
    if tl.load(alive + row) != 0 and tl.load(intact + row) == 0:
        column = first + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        inside = column < last
        old = tl.load(gradients + row * width + column, inside, other=0.0)
        _write(old, row, column, inside, width, weights, working, values, factors, slots, own_rows, size, ROUNDED)


@torch.no_grad()
def advance(bank: Bank) -> None:
    """Update the weights [R, P] of a bank's living replicas, and their V; freeze those that are not finite.

    V of dead replicas stays as it was.
    """
    v, protocol = bank.feedback_bank, bank.protocol
    rounded, width = bank.working is not bank.weights, bank.weights.shape[1]
    size = bank.model.feedback_size if bank.has_feedback and v.follows_updates else 0
    alive, intact = bank.alive.view(torch.uint8), bank.intact.view(torch.uint8)
    banks = bank.working, v.values, v.factors, v.slots, v.own_rows
    trained, adam = list(bank.segments), bank.trains_by_adam
    corrections = _correct(bank) if adam else bank.rates
    for part in (*trained, *_untrained(trained, size)):
        first, last = part.columns.start, part.columns.stop
        grid = (triton.cdiv(last - first, _BLOCK), len(bank.weights))
        _advance[grid](
            bank.weights, bank.gradients, bank.state, *banks, bank.settings, bank.rates, alive, intact,
            corrections, first, last, width, size, protocol.momentum, bank.weight_decay if part.decays else 0.0,
            1 - protocol.momentum, protocol.adam_beta2, 1 - protocol.adam_beta2, protocol.adam_epsilon,
            TRAINED=part in trained, SIGNS=part.signs, USED=part.used, ZERO_SIGN=protocol.zero_sign,
            NESTEROV=protocol.nesterov, ADAM=adam, ROUNDED=rounded, BLOCK=_BLOCK, **FUSED,
        )  # fmt: skip
    for part in trained:
        first, last = part.columns.start, part.columns.stop
        grid = (triton.cdiv(last - first, _BLOCK), len(bank.weights))
        _restore[grid](
            bank.weights, bank.gradients, *banks, alive, intact, first, last, width, size,
            ROUNDED=rounded, BLOCK=_BLOCK, **FUSED,
        )  # fmt: skip
    bank.alive &= bank.intact


def _correct(bank: Bank) -> Tensor:
    """Return the divisors [2] of Adam's mean and of the root of its square, which correct that both began at 0."""
    mean, square = (
        weight_of_steps(beta, bank.steps) for beta in (bank.protocol.momentum, bank.protocol.adam_beta2)
    )
    return torch.stack([mean, square.sqrt()])


def _untrained(trained: Sequence[Segment], size: int) -> Iterator[Segment]:
    """Yield the columns below `size` that no update changes: their V may be redrawn."""
    at = 0
    for start, stop in [*sorted((part.columns.start, part.columns.stop) for part in trained), (size, size)]:
        if at < min(start, size):
            yield Segment(slice(at, min(start, size)), decays=False, signs=False)
        at = max(at, stop)
