"""Initial weights of a layer, drawn as the protocol says."""

from collections.abc import Callable

import torch
from torch import Tensor

from asymbp_cli.specs.protocol import Protocol

#: (weights to fill, fan_in, fan_out, generator); as stored: (O, kh, kw, C / groups), (O, I), or biases (O,)
Initialize = Callable[[Tensor, int, int, torch.Generator], None]
#: the initializations of plugins, by name
OWN: dict[str, Initialize] = {}


def draw_weight(protocol: Protocol, weights: Tensor, fan_in: int, fan_out: int, source: torch.Generator) -> None:
    """Fill `weights` (O, kh, kw, C / groups) or (O, I), or biases (O,), on the CPU.

    Sources: Glorot and Bengio 2010, eq. 16 (normal with the same variance); He, Zhang, Ren and Sun 2015, eq. 10.
    """
    match protocol.initialization:
        case "glorot-normal":
            weights.normal_(0, (2 / (fan_in + fan_out)) ** 0.5, generator=source)
        case "half-glorot-normal":
            weights.normal_(0, (fan_in + fan_out) ** -0.5, generator=source)
        case "glorot-uniform":
            bound = (6 / (fan_in + fan_out)) ** 0.5
            weights.uniform_(-bound, bound, generator=source)
        case "he-normal":
            weights.normal_(0, (2 / fan_in) ** 0.5, generator=source)
        case "pytorch-uniform":
            bound = fan_in**-0.5
            weights.uniform_(-bound, bound, generator=source)
        case "normal":
            weights.normal_(0, protocol.initial_std, generator=source)
        case own:
            OWN[own](weights, fan_in, fan_out, source)
