"""The weighted layers of Table 1, and the work of a training step in one of them for R replicas."""

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
class WeightedLayer:
    """A weighted layer of a network of Table 1; `shape` is that of its input."""

    name: str
    layer: Conv | FC
    shape: Shape
    first: bool


def list_layers() -> list[WeightedLayer]:
    """Return the weighted layers of Table 1's networks."""
    return [
        WeightedLayer(
            name=f"{key} {operation.number}: {operation.layer}",
            layer=operation.layer,
            shape=operation.before,
            first=operation.first,
        )
        for key, (classes, _) in SIZES.items()
        for operation in NETWORKS[key].resolve(classes).weighted()
    ]


@dataclass(frozen=True)
class LayerCase:
    """One layer of R replicas: x, W, arriving error and (except in a first layer) V of each, as in the engine.

    Convolutions, all channels_last: x [B, C, H, W'], W and V [O, C, kh, kw], error [B, O, H', W'']. FC layers:
    x [B, I], W and V [O, I], error [B, O].
    """

    layer: Conv | FC
    x: list[Tensor]
    weights: list[Tensor]
    errors: list[Tensor]
    feedback: list[Tensor]

    @property
    def conv(self) -> Conv:
        """The layer as a convolution. Raises TypeError if it is not one."""
        if not isinstance(self.layer, Conv):
            raise TypeError(f"{self.layer} is not a convolution")
        return self.layer

    @property
    def count(self) -> int:
        """R."""
        return len(self.x)

    def arguments(self, replica: int) -> tuple[Tensor, ...]:
        """Return x, W, error and, except in a first layer, V of a replica."""
        arguments = (self.x, self.weights, self.errors, self.feedback)
        return tuple(tensors[replica] for tensors in arguments if tensors)

    def join(self, join: Callable[[list[Tensor], bool], Tensor]) -> list[Tensor]:
        """Return `join(tensors, has_samples)` of x, W, errors and, except in a first layer, V."""
        joined = [join(self.x, True), join(self.weights, False), join(self.errors, True)]
        if self.feedback:
            joined.append(join(self.feedback, False))
        return joined


def make_case(
    layer: WeightedLayer,
    replicas: int,
    device: torch.device,
    *,
    batch: int = BATCH,
    dtype: torch.dtype = torch.float32,
) -> LayerCase:
    """Return random inputs, weights and errors, different for every replica."""
    source = torch.Generator(device).manual_seed(0)

    def draw(*shape: int) -> list[Tensor]:
        tensors = [torch.randn(shape, generator=source, dtype=dtype, device=device) for _ in range(replicas)]
        return [tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor for tensor in tensors]

    weight_shape = layer.layer.weight_shape(layer.shape)
    x_shape = (prod(layer.shape),) if isinstance(layer.layer, FC) else layer.shape
    return LayerCase(
        layer.layer,
        x=draw(batch, *x_shape),
        weights=draw(*weight_shape),
        errors=draw(batch, *layer.layer.output(layer.shape)),
        feedback=[] if layer.first else draw(*weight_shape),
    )
