"""How much feedback weights V are like the weights W of their layer."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from asymbp_cli.training.step import sum_type

#: the measures of plugins, by name: (W, V), both [R', O, ...] -> [R']
OWN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {}

_MOST_AT_ONCE = 2**22  # numbers, as sums are taken in a wider type


def compare_weights(W: Tensor, V: Tensor) -> Mapping[str, Tensor]:
    """Return angle (degrees), agreement (share of signs) and norm ratio of weights [R, ...], each [R].

    What has no meaning, as an angle to 0, is not a number.

    >>> found = compare_weights(torch.tensor([[1.0, 1.0]]), torch.tensor([[2.0, 0.0]]))
    >>> {name: round(value.item(), 4) for name, value in found.items()}
    {'angle': 45.0, 'agreement': 1.0, 'norm-ratio': 1.4142}
    """
    rows = max(1, _MOST_AT_ONCE // max(1, W[0].numel()))
    parts = zip(*(torch.split(part.flatten(1), rows) for part in (W, V)), strict=True)
    products, weights, feedback, agreeing, counted = torch.cat([_sum(*part) for part in parts], 1)
    return {
        "angle": to_degrees(products, weights, feedback),
        "agreement": (agreeing / counted).masked_fill(~feedback.isfinite(), torch.nan),
        "norm-ratio": (feedback / weights).sqrt(),
    }


def _sum(W: Tensor, V: Tensor) -> Tensor:
    """Return the sums [5, R'] of W V, W^2 and V^2, and the counts of pairs with W V > 0 and with W V != 0."""
    signs = W.sign() * V.sign()
    W, V = (part.to(sum_type(part.device)) for part in (W, V))
    sums = [(W * V).sum(1), W.square().sum(1), V.square().sum(1)]
    counts = [(signs > 0).sum(1), (signs != 0).sum(1)]
    return torch.stack([part.to(sums[0].dtype) for part in (*sums, *counts)])


def to_degrees(products: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return the angle of two vectors in degrees, from their scalar product and their squares."""
    return (products / (first * second).sqrt()).clamp(-1, 1).acos() * (180 / math.pi)
