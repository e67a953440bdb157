"""Poolings: plain operations. On CUDA `kernels/pooling.py` computes maxima of a whole stack at once."""

from math import prod
from typing import cast

import torch.nn.functional as F
from torch import Tensor

from asymbp_cli.specs.layers import Pool
from asymbp_cli.training.kernels import find_kernels

_MOST_PLACES = 16  # in a window, which a kernel reads without a loop


def pool(x: Tensor, layer: Pool, *, counts_border: bool) -> Tensor:
    """Return the maxima or averages [B, C, H', W'] of x [B, C, H, W] in windows.

    Cells beyond the border never win a maximum, and count in an average only if `counts_border`.
    """
    beyond = layer.padding_end > 0  # and it just completes the last window, see Pool.padding_fits
    if layer.kind == "max":
        kernels = find_kernels("pooling", x.device)
        if kernels and prod(layer.size) <= _MOST_PLACES:
            return cast(Tensor, kernels.max_pool(x, layer))
        return F.max_pool2d(x, layer.size, layer.stride, ceil_mode=beyond)
    if beyond and counts_border:
        x, beyond = F.pad(x, (0, layer.padding_end, 0, layer.padding_end)), False
    return F.avg_pool2d(x, layer.size, layer.stride, ceil_mode=beyond)
