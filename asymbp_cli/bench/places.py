"""The weighted layers of Table 1, and what a training step computes in one of them for R replicas."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from asymbp_cli.bench.steps import SIZES
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs.layers import FC, Conv, Shape

BATCH = 100


@dataclass(frozen=True)
class Place:
    """A weighted layer of a network of Table 1; `shape` is that of its input."""

    name: str
    layer: Conv | FC
    shape: Shape
    first: bool


def places() -> list[Place]:
    """Return the weighted layers of Table 1's networks."""
    return [
        Place(f"{key} {operation.number}: {operation.layer}", operation.layer, operation.before, operation.first)
        for key, (classes, _) in SIZES.items()
        for operation in NETWORKS[key].resolve(classes).weighted()
    ]


@dataclass(frozen=True)
class Problem:
    """One layer of R replicas: x, W, V (none in a first layer) and arriving error of each, as the engine has them.

    x [B, C, H, W'], W and V [O, C, kh, kw], error [B, O, H', W''], all channels_last; of FC layers [B, I], [O, I]
    and [B, O].
    """

    layer: Conv | FC
    x: list[Tensor]
    weights: list[Tensor]
    errors: list[Tensor]
    feedback: list[Tensor]

    @property
    def conv(self) -> Conv:
        """The layer, a convolution; raises TypeError where it is none."""
        if not isinstance(self.layer, Conv):
            raise TypeError(f"{self.layer} is no convolution")
        return self.layer

    @property
    def count(self) -> int:
        """R."""
        return len(self.x)

    def arguments(self, replica: int) -> tuple[Tensor, ...]:
        """Return x, W, error and, but in a first layer, V of a replica."""
        columns = (self.x, self.weights, self.errors, self.feedback)
        return tuple(column[replica] for column in columns if column)

    def joined(self, join: Callable[[list[Tensor], bool], Tensor]) -> list[Tensor]:
        """Return `join(tensors, of_samples)` of x, W, errors and, but in a first layer, V."""
        columns = ((self.x, True), (self.weights, False), (self.errors, True), (self.feedback, False))
        return [join(column, of_samples) for column, of_samples in columns if column]


def problem(
    place: Place, replicas: int, device: torch.device, *, batch: int = BATCH, dtype: torch.dtype = torch.float32
) -> Problem:
    """Return random inputs, weights and errors, different for every replica."""
    source = torch.Generator(device).manual_seed(0)

    def draw(*shape: int) -> list[Tensor]:
        drawn = [torch.randn(shape, generator=source, dtype=dtype, device=device) for _ in range(replicas)]
        return [part.permute(0, 3, 1, 2) if part.ndim == 4 else part for part in drawn]

    weight, flat = place.layer.weight_shape(place.shape), isinstance(place.layer, FC)
    return Problem(
        place.layer,
        x=draw(batch, *((prod(place.shape),) if flat else place.shape)),
        weights=draw(*weight),
        errors=draw(batch, *place.layer.output(place.shape)),
        feedback=[] if place.first else draw(*weight),
    )
