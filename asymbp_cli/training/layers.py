"""Asymmetric layers: forward through W, error of the input through V (eq. 1 and 2). They know no scheme.

The gradient of W is the true local one, input times arriving error; V never receives a gradient. Also the
paper's batch normalization (section 3). Shapes: samples B, inputs I, outputs O, features F, channels C.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
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


def linear(
    x: Float[Tensor, "B I"],
    W: Float[Tensor, "O I"],
    V: Float[Tensor, "O I"],
    bias: Float[Tensor, "O"] | None = None,
) -> Float[Tensor, "B O"]:
    """Return x W^T + bias, whose backward pass takes V for W.

    For an arriving error e [B, O] the error of x is e V, the gradient of W is e^T x, and V has none.

    Source: Liao, Leibo and Poggio 2016, section 2, eq. 1 and 2.

    >>> x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    >>> W, V = torch.tensor([[3.0, -4.0]]), torch.tensor([[1.0, -1.0]])
    >>> y = linear(x, W, V)
    >>> y.backward()
    >>> y.tolist(), x.grad.tolist()
    ([[-5.0]], [[1.0, -1.0]])
    """
    y: Tensor = _Linear.apply(x, W, V, bias)
    return y


def conv2d(
    x: Float[Tensor, "B C H W_"],
    W: Float[Tensor, "O C_ kh kw"],
    V: Float[Tensor, "O C_ kh kw"],
    bias: Float[Tensor, "O"] | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Float[Tensor, "B O H_ W__"]:
    """Return the convolution (cross-correlation) of x with W plus bias, whose backward pass takes V for W.

    The error of x is the transposed convolution of the arriving error with V. The gradient of W is that of an
    ordinary convolution, and V has none. C_ is C / groups.

    Source: Liao, Leibo and Poggio 2016, section 2, eq. 1 and 2.
    """
    y: Tensor = _Conv2d.apply(x, W, V, bias, (stride, padding, dilation, groups))
    return y


def batch_norm(
    x: Float[Tensor, "B F *space"],
    scale: Float[Tensor, "F"] | None = None,
    shift: Float[Tensor, "F"] | None = None,
    *,
    epsilon: float,
) -> Float[Tensor, "B F *space"]:
    """Return (x - mean) / sqrt(variance + epsilon), times scale plus shift, by the features of this batch.

    The variance is the biased one. A single value has none and becomes 0 (torch.nn.functional.batch_norm refuses
    it): an epoch's last mini-batch may be one sample. cuDNN is not used: some of its kernels wait for their own
    blocks, and next to kernels of other branches they might wait for ever.

    Source: Ioffe and Szegedy 2015; Liao, Leibo and Poggio 2016, section 3.

    >>> batch_norm(torch.tensor([[1.0], [3.0]]), epsilon=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    y: Tensor = torch.batch_norm(x, scale, shift, None, None, True, 0.0, epsilon, False)
    return y


def batch_statistics(x: Float[Tensor, "B F *space"]) -> tuple[Float[Tensor, "F"], Float[Tensor, "F"]]:
    """Return mean and (biased) standard deviation of each feature.

    >>> [part.tolist() for part in batch_statistics(torch.tensor([[1.0], [3.0]]))]
    [[2.0], [1.0]]
    """
    variance, mean = torch.var_mean(
        x.float() if x.dtype == torch.bfloat16 else x, dim=[0, *range(2, x.ndim)], correction=0
    )
    return mean, variance.sqrt()


def normalize(
    x: Float[Tensor, "B F *space"],
    mean: Float[Tensor, "F"],
    std: Float[Tensor, "F"],
    scale: Float[Tensor, "F"] | None = None,
    shift: Float[Tensor, "F"] | None = None,
    *,
    epsilon: float,
) -> Float[Tensor, "B F *space"]:
    """Return x normalized with given statistics, as testing does.

    Source: Liao, Leibo and Poggio 2016, section 3: moving averages of mini-batches' means and deviations.

    >>> normalize(torch.tensor([[5.0]]), torch.tensor([1.0]), torch.tensor([2.0]), epsilon=0.0)
    tensor([[2.]])
    """
    wide = mean.dtype  # statistics are never rounded to bf16
    scale, shift = (None if part is None else part.to(wide) for part in (scale, shift))
    return F.batch_norm(x.to(wide), mean, std.square(), scale, shift, training=False, eps=epsilon).to(x.dtype)
