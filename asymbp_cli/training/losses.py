"""Losses of a mini-batch, and their errors: the gradients by the logits."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Loss(NamedTuple):
    """A loss of logits z [B, R', classes] and labels y [B], over samples: `measure(z, y, reduction)` [R'].

    Cross-entropies are in nats.

    `pass_back(z, y, reduction, toward)` also returns the error [B, R', classes]. `toward` [B, classes] is minus
    the weight of a sample at its label, 0 elsewhere; the weight is 1 for the reduction `sum`, 1 / B for `mean`.
    """

    measure: Callable[[Tensor, Tensor, str], Tensor]
    pass_back: Callable[[Tensor, Tensor, str, Tensor], tuple[Tensor, Tensor]]


def _after_softmax(z: Tensor, y: Tensor, reduction: str) -> Tensor:
    return _pick(F.log_softmax(z, 2), y, reduction)


def _after_softmax_with_error(z: Tensor, y: Tensor, reduction: str, toward: Tensor) -> tuple[Tensor, Tensor]:
    log_p = F.log_softmax(z, 2)
    error: Tensor = torch.ops.aten._log_softmax_backward_data(
        toward[:, None].expand_as(log_p), log_p, 2, torch.float32
    )
    return _pick(log_p, y, reduction), error


def _pick(log_p: Tensor, y: Tensor, reduction: str) -> Tensor:
    """Return the negative log-probability of the labels [R'], over samples, from log_p [B, R', classes].

    One replica alone, as on the CPU, may differ in the last bits from one of several: its sum has another order.
    """
    if log_p.shape[1] == 1:
        return F.nll_loss(log_p[:, 0], y, reduction=reduction)[None]
    return _reduce(-_at_labels(log_p, y), reduction)


def _at_labels(z: Tensor, y: Tensor) -> Tensor:
    return z.gather(2, y[:, None, None].expand(-1, z.shape[1], 1))[..., 0]


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    return losses.sum(0) if reduction == "sum" else losses.mean(0)


def _after_sigmoids(z: Tensor, y: Tensor, reduction: str) -> Tensor:
    """Return the cross-entropy of sigmoid(z) with the one-hot label, summed over classes: log(1 + e^z) - z_y."""
    return _reduce(F.softplus(z).sum(2) - _at_labels(z, y), reduction)


def _after_sigmoids_with_error(z: Tensor, y: Tensor, reduction: str, toward: Tensor) -> tuple[Tensor, Tensor]:
    weight = 1.0 if reduction == "sum" else 1 / len(y)
    return _after_sigmoids(z, y, reduction), z.sigmoid().mul_(weight).add_(toward[:, None])


def _squared(z: Tensor, y: Tensor, reduction: str) -> Tensor:
    """Return half of the squared distance of z from the one-hot label."""
    return _reduce((z.square().sum(2) + 1) / 2 - _at_labels(z, y), reduction)


def _squared_with_error(z: Tensor, y: Tensor, reduction: str, toward: Tensor) -> tuple[Tensor, Tensor]:
    weight = 1.0 if reduction == "sum" else 1 / len(y)
    return _squared(z, y, reduction), (z * weight).add_(toward[:, None])


#: `Protocol.loss` -> loss
LOSSES: dict[str, Loss] = {
    "cross-entropy": Loss(_after_softmax, _after_softmax_with_error),
    "sigmoid-cross-entropy": Loss(_after_sigmoids, _after_sigmoids_with_error),
    "squared-error": Loss(_squared, _squared_with_error),
}
