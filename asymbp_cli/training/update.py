"""The update of a stack's banks, and the feedback weights that follow from it.

Updates of all replicas are a few operations per step, whatever the network: adjacent rows with the same setting
share them. On CUDA one kernel does it all (`kernels/update.py`); the operations here are its definition.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from asymbp_cli.training.bank import Bank, Segment
from asymbp_cli.training.kernels import find_kernels
from asymbp_cli.training.optim import RULES, find_setting, propose_, propose_by_adam_

Kernel = Callable[[Bank], None]


@torch.no_grad()
def update(bank: Bank, finite: Tensor, kernel: Kernel | None = None) -> None:
    """Apply the update rules at the epoch's rate times each run's multiplier, and compute the next V.

    A replica whose loss (`finite` [R], bool) or new weights are not finite is frozen before this update, for good.
    A V that only measures see freezes none. No value is read from a GPU. `kernel` replaces the operations of the
    bank's device: `plain`, or one that also computes V = W and V = F o sign(W).
    """
    bank.alive &= finite
    if bank.trains_by_adam:
        bank.steps += 1
    if bank.protocol.gradient_clip:
        bank.clip_gradients()
    bank.learn_feedback()
    bank.redraw()
    kernel = kernel or (plain if bank.has_own_rules else _kernel_of(bank.alive.device))
    kernel(bank)
    bank.refresh_feedback(signed=kernel is plain)


def _kernel_of(device: torch.device) -> Kernel:
    kernels = find_kernels("update", device)
    return kernels.advance if kernels else plain


def plain(bank: Bank) -> None:
    """Update the weights of living replicas by operations on whole banks."""
    for setting, rows in bank.updates:
        for part in bank.segments:
            _propose(bank, setting, rows, part)
    for part in bank.segments:
        if part.used:  # a sum is finite only if all of its terms are
            bank.alive &= bank.gradients[:, part.columns].sum(1).isfinite()
    alive = bank.alive[:, None]
    all_live = bank.may_read and bool(alive.all())
    for part in bank.segments:
        old, new = bank.weights[:, part.columns], bank.gradients[:, part.columns]
        if all_live:
            old.copy_(new)
        else:
            torch.where(alive, new, old, out=old)
    bank.use_weights()


def _propose(bank: Bank, setting: str, rows: slice, part: Segment) -> None:
    """Write the next weights of adjacent rows with one rule over their gradients."""
    protocol, rate = bank.protocol, bank.rates[rows]
    w, g = (whole[rows, part.columns] for whole in (bank.weights, bank.gradients))
    state = bank.state[rows, :, part.columns]
    if rule := RULES.get(setting):
        rule(w, g, state, rate, protocol.momentum, bank.decay[part.decays])
    elif setting == "adam":
        propose_by_adam_(
            w,
            g,
            state,
            rate=rate,
            betas=(protocol.momentum, protocol.adam_beta2),
            epsilon=protocol.adam_epsilon,
            decay=bank.decay[part.decays],
            steps=bank.steps,
        )
        if part.used:  # an infinite square would stop its weight, unseen
            bank.alive[rows] &= state[:, 1].sum(1).isfinite()
    else:
        propose_(
            find_setting(setting) if part.signs else "sgd",
            w,
            g,
            state[:, 0],
            rate=rate,
            momentum=protocol.momentum,
            decay=bank.decay[True] if part.decays and bank.weight_decay else 0,
            zero_sign=protocol.zero_sign,
            nesterov=protocol.nesterov,
        )
