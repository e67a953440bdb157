"""The steps back through V, as autograd functions: N-dimensional inputs, any convolution of torch.

The forward pass and the gradients of W and bias are torch's own. Only the error of the input takes V for W, and V
may learn from the gradient of W. `training/layers.py` has the same for stacks of replicas.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from asymbp_cli.errors import UsageError

#: gradient of W -> gradient of V, in W's shape
Learn = Callable[[Tensor], Tensor]


class Geometry(NamedTuple):
    """The arguments of a convolution, a number for each direction."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool
    output_padding: tuple[int, ...]
    groups: int


class _Linear(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor, V: Tensor, bias: Tensor | None, learn: Learn | None) -> Tensor:
        ctx.save_for_backward(x, V)
        ctx.learn = learn
        return F.linear(x, W, bias)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        x, V = ctx.saved_tensors
        need_x, need_w, need_v, need_bias, _ = ctx.needs_input_grad
        flat = error.reshape(-1, len(V))
        of_x = flat.mm(V).view(x.shape) if need_x else None
        of_w = flat.t().mm(x.reshape(-1, V.shape[1])) if need_w else None
        of_v = ctx.learn(of_w) if need_v and of_w is not None else None
        return of_x, of_w, of_v, flat.sum(0) if need_bias else None, None


class _Convolution(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, W: Tensor, V: Tensor, bias: Tensor | None, geometry: Geometry, learn: Learn | None
    ) -> Tensor:
        ctx.save_for_backward(x, V)
        ctx.geometry, ctx.learn = geometry, learn
        ctx.biases = None if bias is None else list(bias.shape)
        return torch.convolution(x, W, bias, *geometry)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        x, V = ctx.saved_tensors
        need_x, need_w, need_v, need_bias, *_ = ctx.needs_input_grad
        # of V it takes no more than the shape for the gradient of W
        of_x, of_w, of_bias = torch.ops.aten.convolution_backward.default(
            error, x, V, ctx.biases, *ctx.geometry, [need_x, need_w, need_bias]
        )
        of_v = ctx.learn(of_w) if need_v and of_w is not None else None
        return of_x, of_w, of_v, of_bias, None, None


def linear(x: Tensor, W: Tensor, V: Tensor, bias: Tensor | None, learn: Learn | None = None) -> Tensor:
    """Return x W^T + bias [..., O] of x [..., I], whose backward pass takes V [O, I] for W [O, I].

    For an arriving error e the error of x is e V and the gradient of W is e^T x. If V requires a gradient, it gets
    `learn` of W's.

    Source: Liao, Leibo and Poggio 2016, section 2, eq. 1 and 2.

    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> y = linear(x, torch.tensor([[3.0, -4.0]]), torch.tensor([[1.0, -1.0]]), None)
    >>> y.backward()
    >>> y.tolist(), x.grad.tolist()
    ([-5.0], [1.0, -1.0])
    """
    y: Tensor = _Linear.apply(*use_autocast(x, W, V, bias), learn)
    return y


def convolution(
    x: Tensor, W: Tensor, V: Tensor, bias: Tensor | None, geometry: Geometry, learn: Learn | None = None
) -> Tensor:
    """Return the convolution of x [B, C, ...] with W plus bias, whose backward pass takes V for W.

    W and V are [O, C / groups, ...], or [C, O / groups, ...] if it is transposed. If V requires a gradient, it
    gets `learn` of W's.

    Source: Liao, Leibo and Poggio 2016, section 2, eq. 1 and 2.
    """
    y: Tensor = _Convolution.apply(*use_autocast(x, W, V, bias), geometry, learn)
    return y


def refuse_second_derivatives() -> None:
    """Raise UsageError in a backward pass with `create_graph`: what is differentiated again would lose terms.

    `once_differentiable` is not enough. It raises only if the arriving error requires a gradient, which a constant
    such as `torch.ones` does not.
    """
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():  # a compiled function refuses by itself
        raise UsageError(
            "The way back through V has no derivative, so that create_graph=True (a gradient penalty, a second "
            "derivative) cannot be had of a converted module. Take it of a module that is not converted"
        )


def use_autocast(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """Return tensors in autocast's type, if it is on: a `Function` sees none of its rules."""
    first = tensors[0]
    assert first is not None
    kind = first.device.type
    if not torch.is_autocast_enabled(kind):
        return tensors
    dtype = torch.get_autocast_dtype(kind)
    return tuple(tensor.to(dtype) if tensor is not None and _is_cast(tensor) else tensor for tensor in tensors)


def _is_cast(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.dtype != torch.float64
