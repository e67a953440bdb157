"""Layers of a small stack, and tensors for them."""

import torch
from torch import Tensor

from asymbp_cli.specs.layers import Pool
from asymbp_cli.training.pooling import pool
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
POOLS = [
    Pool("max", (2, 2), 2),
    Pool("max", (3, 3), 2),
    Pool("max", (2, 2), 2, padding_end=1),
    Pool("max", (3, 2), 1),
    Pool("max", (2, 2), 3),
    Pool("max", (4, 4), 1),
]
#: stacks of the schemes beyond the paper
BEYOND = [
    ("FA", "uSF-scaled+BM", "brSF-25%-scaled", "frSF-scaled", "startSF", "softFA", "noisy", "ternary", "sham"),
    ("KP", "PFA+BM", "PFA-o"),
    ("KP+BN+BM Bottom", "PFA+BN Bottom"),
    ("WM",),
    ("DFA", "DFA+BM3"),
    ("sDFA+BN", "sDFA+BN+BM"),
    ("DRTP Bottom",),
    ("DKP",),
    ("Adam", "uSF+Adam", "brSF-25%+Adam"),
    ("KP+BN+Adam",),
]
#: stacks of all schemes, settings, normalizations and trained layers
STACKS = [
    (
        "SGD",
        "BM",
        "BM2",
        "BM3",
        "uSF",
        "NuSF+BM",
        "brSF",
        "brSF-25%+BM2",
        "frSF",
        "frSF-50%+BM3",
        "RndF",
        "RndF+BM",
    ),
    ("uSF+BN", "brSF-25%+BN+BM", "brSF-25%+BN+BM3", "brSF-75%+BN", "RndF+BN"),
    ("BN", "BN+BM2"),
    ("SGD Top", "RndF+BM Top"),
    ("uSF+BN+BM Bottom", "brSF+BN Bottom"),
    *BEYOND,
]


def draw(*shape: int) -> Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
    return drawn.contiguous(memory_format=torch.channels_last) if drawn.ndim == 4 else drawn


def draw_ties(*shape: int) -> Tensor:
    """Return an image with numbers that are equal, and some that are none."""
    x = (3 * draw(*shape)).round()
    x[0, 0, 4:6, 4:6] = torch.nan
    x[-1, -1] = -torch.inf
    return x


def pool_and_back(x: Tensor, layer: Pool) -> tuple[Tensor, Tensor]:
    """Return a pooling of x, and the error of x if that of the pooling is made of whole numbers."""
    x = x.detach().requires_grad_()
    y = pool(x, layer, counts_border=False)
    places = torch.arange(y.numel(), device=y.device) % 7
    y.backward(places.to(y.dtype).view(y.shape))
    assert x.grad is not None
    return y.detach(), x.grad
