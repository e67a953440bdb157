"""Asymmetric layers: forward through W, error of the input through V (eq. 1 and 2). They know no scheme.

The gradient of W is the true local one, input times arriving error; V never receives a gradient. Also the
paper's batch normalization (section 3).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class _Linear(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor, V: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, V)
        return F.linear(x, W, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        x, V = ctx.saved_tensors
        need_x, need_w, _, need_bias = ctx.needs_input_grad
        return (
            error @ V if need_x else None,
            error.T @ x if need_w else None,
            None,
            error.sum(0) if need_bias else None,
        )


class _Conv2d(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, W: Tensor, V: Tensor, bias: Tensor | None, geometry: tuple[int, int, int, int]
    ) -> Tensor:
        ctx.save_for_backward(x, W, V)
        ctx.geometry = geometry
        return F.conv2d(x, W, bias, *geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        x, W, V = ctx.saved_tensors
        need_x, need_w, _, need_bias, _ = ctx.needs_input_grad
        stride, padding, dilation, groups = ctx.geometry

        def gradients(weight: Tensor, mask: list[bool]) -> tuple[Tensor | None, ...]:
            pair = ([stride] * 2, [padding] * 2, [dilation] * 2, False, [0, 0], groups)
            found: tuple[Tensor | None, ...] = torch.ops.aten.convolution_backward(
                error, x, weight, [weight.shape[0]], *pair, mask
            )
            return found

        grad_x = gradients(V, [True, False, False])[0] if need_x else None
        _, grad_w, grad_bias = gradients(W, [False, need_w, need_bias])
        return grad_x, grad_w, None, grad_bias, None


def linear(x: Tensor, W: Tensor, V: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x W^T + bias. Shapes: x [B, I], W and V [O, I], bias [O] -> [B, O]."""
    y: Tensor = _Linear.apply(x, W, V, bias)
    return y


def conv2d(
    x: Tensor,
    W: Tensor,
    V: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """Return the convolution (cross-correlation) of x [B, C, H, W'] with W [O, C / groups, kh, kw]; V as W."""
    y: Tensor = _Conv2d.apply(x, W, V, bias, (stride, padding, dilation, groups))
    return y


def batch_norm(x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None, *, epsilon: float) -> Tensor:
    """Return x [B, F] or [B, F, H, W] at zero mean and unit deviation per feature of this batch (section 3).

    A single value has no deviation and becomes 0 (torch.nn.functional.batch_norm refuses it): an epoch's last
    mini-batch may be one sample. Never by cuDNN, some of whose kernels wait for their own blocks: beside those of
    other branches they might wait for ever.
    """
    y: Tensor = torch.batch_norm(x, scale, shift, None, None, True, 0.0, epsilon, False)
    return y


def batch_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and (biased) standard deviation of each feature, both [F]."""
    variance, mean = torch.var_mean(
        x.float() if x.dtype == torch.bfloat16 else x, dim=[0, *range(2, x.ndim)], correction=0
    )
    return mean, variance.sqrt()


def normalize(
    x: Tensor,
    mean: Tensor,
    std: Tensor,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    *,
    epsilon: float,
) -> Tensor:
    """Return x normalized with given statistics [F], as testing does (section 3)."""
    wide = mean.dtype  # statistics are never rounded to bf16
    scale, shift = (None if part is None else part.to(wide) for part in (scale, shift))
    return F.batch_norm(x.to(wide), mean, std.square(), scale, shift, training=False, eps=epsilon).to(x.dtype)
