"""Tries the kernels on a GPU, on whole numbers so small that any precision gives the exact ones."""

import torch
from torch import Tensor

from asymbp_cli.specs.layers import Pool
from asymbp_cli.training.kernels import pooling as pooling_kernels
from asymbp_cli.training.kernels import products as product_kernels
from asymbp_cli.training.pooling import pool
from asymbp_cli.training.products import Geometry, correlate, multiply, pass_back

_REPLICAS, _SAMPLES, _INPUTS, _OUTPUTS, _SIDE = 2, 3, 2, 5, 6
_GEOMETRY, _POOL = Geometry(padding=1), Pool("max", (2, 2), 2)


def try_kernels(device: torch.device) -> None:
    """Compile products and poolings for a GPU and compute with them there.

    Raises RuntimeError if they do not give what plain operations do, and whatever Triton raises.
    """
    for name, found, expected in _compute(device):
        if not torch.equal(found.cpu(), expected):
            raise RuntimeError(f"they give wrong numbers here ({name}). Please report it, with the GPU's model")


def _compute(device: torch.device) -> list[tuple[str, Tensor, Tensor]]:
    """Return the name, our result and the right one of each kernel."""
    x, W = _count(_SAMPLES, _REPLICAS * _INPUTS, _SIDE, _SIDE), _count(_REPLICAS, _OUTPUTS, _INPUTS, 3, 3)
    bias, error = _count(_REPLICAS, _OUTPUTS), _count(_SAMPLES, _REPLICAS * _OUTPUTS, _SIDE, _SIDE)
    x_there, W_there, bias_there, error_there = (part.to(device) for part in (x, W, bias, error))
    y = product_kernels.multiply(x_there, W_there, bias_there, _GEOMETRY)
    below = product_kernels.pass_back(error_there, W_there, (_SIDE, _SIDE), _GEOMETRY)
    gradient, _ = product_kernels.correlate(x_there, error_there, W_there, _GEOMETRY, biased=True)
    return [
        ("forward", y, multiply(x, W, bias, _GEOMETRY)),
        ("error", below, pass_back(error, x, W, _GEOMETRY)),
        ("gradient", gradient, correlate(x, error, W, _GEOMETRY, biased=True)[0]),
        ("maximum", pooling_kernels.max_pool(x_there, _POOL), pool(x, _POOL, counts_border=False)),
    ]


def _count(*shape: int) -> Tensor:
    """Return numbers from -3 to 3 in a pattern that no shape repeats."""
    count = torch.arange(torch.Size(shape).numel())
    return ((count * 5 + count // 7) % 7 - 3).float().reshape(shape)
