"""Layers of a small stack, and tensors for them."""

import torch
from torch import Tensor

from asymbp_cli.training.products import Geometry

GEOMETRIES = [
    Geometry(),
    Geometry(padding=1),
    Geometry(stride=2),
    Geometry(stride=2, padding=2),
    Geometry(stride=3, padding=1, dilation=2),
    Geometry(groups=2),
    Geometry(stride=2, padding=1, groups=2),
]
REPLICAS = 3


def draw(*shape: int) -> Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
    return drawn.contiguous(memory_format=torch.channels_last) if drawn.ndim == 4 else drawn
