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
