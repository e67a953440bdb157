"""Asymmetric layers: forward through W, error of the input through V (eq. 1 and 2). They know no scheme.

The gradient of W is the true local one, input times arriving error; V never receives a gradient. Also the
paper's batch normalization (section 3). Shapes: replicas R, samples B, inputs I, outputs O, features F,
channels C. Replicas have weights of their own, and are computed at once.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from asymbp_cli.training import products
from asymbp_cli.training.products import Geometry

#: `Network.activation`, in place
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": Tensor.relu_,
    "sigmoid": Tensor.sigmoid_,
    "tanh": Tensor.tanh_,
}
#: what the outputs of a network are to a loss, class by class, in place; a softmax is no function of one class
OUTPUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "cross-entropy": lambda z: z,
    "sigmoid-cross-entropy": Tensor.sigmoid_,
    "squared-error": lambda z: z,
}


class _Linear(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor, V: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, W, V)
        return products.multiply_vectors(x, W, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        x, W, V = ctx.saved_tensors
        need_x, need_w, _, need_bias = ctx.needs_input_grad
        grad_x = products.pass_vectors_back(error, V) if need_x else None
        if not need_w:
            return grad_x, None, None, None
        grad_w, grad_bias = products.correlate_vectors(x, error, W, biased=need_bias)
        return grad_x, grad_w, None, grad_bias


class _Conv2d(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor, V: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(x, W, V)
        ctx.geometry = geometry
        return products.multiply(x, W, bias, geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        x, W, V = ctx.saved_tensors
        need_x, need_w, _, need_bias, _ = ctx.needs_input_grad
        grad_x = products.pass_back(error, x, V, ctx.geometry) if need_x else None
        if not need_w:
            return grad_x, None, None, None, None
        grad_w, grad_bias = products.correlate(x, error, W, ctx.geometry, biased=need_bias)
        return grad_x, grad_w, None, grad_bias, None


def linear(
    x: Float[Tensor, "B RI"],
    W: Float[Tensor, "R O I"],
    V: Float[Tensor, "R O I"],
    bias: Float[Tensor, "R O"] | None = None,
) -> Float[Tensor, "B RO"]:
    """Return x W^T + bias of each replica, whose backward pass takes V for W.

    For an arriving error e [B, O] the error of x is e V, the gradient of W is e^T x, and V has none. x holds the
    inputs of the R replicas one after the other, or one input [B, I] for all of them.

    Source: Liao, Leibo and Poggio 2016, section 2, eq. 1 and 2.

    >>> x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    >>> W, V = torch.tensor([[[3.0, -4.0]]]), torch.tensor([[[1.0, -1.0]]])
    >>> y = linear(x, W, V)
    >>> y.backward()
    >>> y.tolist(), x.grad.tolist()
    ([[-5.0]], [[1.0, -1.0]])
    """
    y: Tensor = _Linear.apply(x, W, V, bias)
    return y


def conv2d(
    x: Float[Tensor, "B RC H W_"],
    W: Float[Tensor, "R O C_ kh kw"],
    V: Float[Tensor, "R O C_ kh kw"],
    bias: Float[Tensor, "R O"] | None = None,
    geometry: Geometry = Geometry(),  # noqa: B008
) -> Float[Tensor, "B RO H_ W__"]:
    """Return the convolution (cross-correlation) of x with W plus bias, whose backward pass takes V for W.

    The error of x is the transposed convolution of the arriving error with V. The gradient of W is that of an
    ordinary convolution, and V has none. C_ is C / groups. x holds the features of the R replicas one after the
    other, or one input [B, C, H, W_] for all of them.

    Source: Liao, Leibo and Poggio 2016, section 2, eq. 1 and 2.
    """
    y: Tensor = _Conv2d.apply(x, W, V, bias, geometry)
    return y


def batch_norm(
    x: Float[Tensor, "B F *space"],
    scale: Float[Tensor, "F"] | None = None,
    shift: Float[Tensor, "F"] | None = None,
    *,
    epsilon: float,
) -> Float[Tensor, "B F *space"]:
    """Return (x - mean) / sqrt(variance + epsilon), times scale plus shift, by the features of this batch.

    The variance is the biased one. A single value has none and becomes exactly 0: an epoch's last mini-batch may
    be one sample, and Batch Manhattan would take the sign of any rounding. (torch.nn.functional.batch_norm refuses
    such a batch.) cuDNN is not used: its choice would depend on the sizes.

    Source: Ioffe and Szegedy 2015; Liao, Leibo and Poggio 2016, section 3.

    >>> batch_norm(torch.tensor([[1.0], [3.0]]), epsilon=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    is_single = x.numel() == x.shape[1]
    centered = x - x if is_single else x  # torch may leave 1e-5 of x; what is not finite stays so
    y: Tensor = torch.batch_norm(centered, scale, shift, None, None, True, 0.0, epsilon, False)
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

    >>> normalize(torch.tensor([[5.0]]), torch.tensor([1.0]), torch.tensor([0.0]), epsilon=4.0)
    tensor([[2.]])
    """
    wide = mean.dtype  # statistics are never rounded to bf16
    scale, shift = (None if part is None else part.to(wide) for part in (scale, shift))
    return F.batch_norm(x.to(wide), mean, std.square(), scale, shift, training=False, eps=epsilon).to(x.dtype)
