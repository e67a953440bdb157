"""The three products of a weighted layer of R replicas: forward, error back, gradients. Plain operations.

On CUDA `kernels/products.py` computes the same for the whole stack at once. Each replica has weights of its own;
the features of replica r are channels r * O to (r + 1) * O - 1 of what the layer returns. The input of the first
layer is the same for all replicas, and has no replica axis.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from asymbp_cli.specs.layers import Conv
from asymbp_cli.training.kernels import find_kernels

Gradients = tuple[Tensor, Tensor | None]  # of weights and, if they are asked for, of biases


class Geometry(NamedTuple):
    """Stride, padding, dilation (in both directions) and groups of a convolution."""

    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    @classmethod
    def of(cls, layer: Conv) -> "Geometry":
        """Return the geometry of a convolution as it is written."""
        return cls(layer.stride, layer.padding, layer.dilation, layer.groups)

    def output(self, size: tuple[int, ...], field: tuple[int, int]) -> tuple[int, ...]:
        """Return the height and width that a convolution of an image of `size` with `field` has."""
        return tuple(
            (side + 2 * self.padding - self.dilation * (reach - 1) - 1) // self.stride + 1
            for side, reach in zip(size, field, strict=True)
        )


def multiply(x: Tensor, W: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Return the convolutions [B, R * O, H', W'] of x with W [R, O, I / groups, kh, kw], plus bias [R, O].

    x is [B, R * I, H, W], or [B, I, H, W] for all replicas.
    """
    if kernels := find_kernels("products", x.device):
        return cast(Tensor, kernels.multiply(x, W, bias, geometry))
    inputs, biases = _split_images(x, W, geometry), [None] * len(W) if bias is None else bias
    return _join([F.conv2d(part, w, b, *geometry) for part, w, b in zip(inputs, W, biases, strict=True)])


def pass_back(error: Tensor, x: Tensor, V: Tensor, geometry: Geometry) -> Tensor:
    """Return the error [B, R * I, H, W] of x: `error` [B, R * O, H', W'] through V [R, O, I / groups, kh, kw]."""
    if kernels := find_kernels("products", error.device):
        return cast(Tensor, kernels.pass_back(error, V, (x.shape[2], x.shape[3]), geometry))
    parts = zip(error.chunk(len(V), 1), _split_images(x, V, geometry), V, strict=True)
    return _join([_go_back(*part, geometry, [True, False, False])[0] for part in parts])


def correlate(x: Tensor, error: Tensor, W: Tensor, geometry: Geometry, *, biased: bool) -> Gradients:
    """Return the gradients of W [R, O, I / groups, kh, kw] and, if `biased`, of the bias [R, O]."""
    if kernels := find_kernels("products", x.device):
        return cast(Gradients, kernels.correlate(x, error, W, geometry, biased=biased))
    parts = zip(error.chunk(len(W), 1), _split_images(x, W, geometry), W, strict=True)
    found = [_go_back(*part, geometry, [False, True, biased])[1:] for part in parts]
    weights, biases = zip(*found, strict=True)
    return _stack(weights), _stack(biases) if biased else None


def _go_back(error: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, mask: list[bool]) -> tuple[Tensor, ...]:
    stride, padding, dilation, groups = geometry
    pair = ([stride] * 2, [padding] * 2, [dilation] * 2, False, [0, 0], groups)
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        error, x, weight, [weight.shape[0]], *pair, mask
    )
    return found


def _split_images(x: Tensor, W: Tensor, geometry: Geometry) -> Sequence[Tensor]:
    """Return the input of each replica."""
    shared = x.shape[1] == W.shape[2] * geometry.groups
    return [x] * len(W) if shared else x.chunk(len(W), 1)


def _join(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _stack(parts: Sequence[Tensor]) -> Tensor:
    """Return the parts of replicas in one tensor, [R, ...]; that of a single one is not copied."""
    return parts[0][None] if len(parts) == 1 else torch.stack(list(parts))


def multiply_vectors(x: Tensor, W: Tensor, bias: Tensor | None) -> Tensor:
    """Return x W^T + bias [B, R * O] by W [R, O, I] and bias [R, O]; x is [B, R * I], or [B, I] for all."""
    if kernels := find_kernels("products", x.device):
        y = x.new_empty(len(x), W.shape[0] * W.shape[1])  # autograd wants no view
        kernels.multiply(_as_images(x), _as_images(W), bias, Geometry(), _as_images(y))
        return y
    inputs, biases = _split_vectors(x, W), [None] * len(W) if bias is None else bias
    return _join([F.linear(part, w, b) for part, w, b in zip(inputs, W, biases, strict=True)])


def pass_vectors_back(error: Tensor, V: Tensor) -> Tensor:
    """Return error V [B, R * I], by replica: `error` [B, R * O] through V [R, O, I]."""
    if kernels := find_kernels("products", error.device):
        return cast(Tensor, kernels.pass_back(_as_images(error), _as_images(V), (1, 1), Geometry())).flatten(1)
    return _join([part @ v for part, v in zip(error.chunk(len(V), 1), V, strict=True)])


def correlate_vectors(x: Tensor, error: Tensor, W: Tensor, *, biased: bool) -> Gradients:
    """Return the gradients error^T x of W [R, O, I] and, if `biased`, of the bias [R, O]."""
    if kernels := find_kernels("products", x.device):
        weights, biases = kernels.correlate(
            _as_images(x), _as_images(error), _as_images(W), Geometry(), biased=biased
        )
        return weights.flatten(2), biases
    errors = error.chunk(len(W), 1)
    weights = _stack([e.T @ part for e, part in zip(errors, _split_vectors(x, W), strict=True)])
    return weights, _stack([e.sum(0) for e in errors]) if biased else None


def _split_vectors(x: Tensor, W: Tensor) -> Sequence[Tensor]:
    return [x] * len(W) if x.shape[1] == W.shape[2] else x.chunk(len(W), 1)


def _as_images(x: Tensor) -> Tensor:
    """Return vectors as images of one pixel, and weights of FC layers as those of convolutions."""
    return x[..., None, None]
