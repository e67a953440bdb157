"""The forms that feedback weights V take, over flat rows [F] of all layers but the first.

One form serves any number of layers and replicas.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Factor(NamedTuple):
    """The factor F of sign(W): row `number` of the stack's factors, and its values [F]."""

    number: int
    values: Tensor


@dataclass(frozen=True)
class Transposed:
    """V = W: plain backpropagation."""


@dataclass(frozen=True)
class Fixed:
    """V is `values` [F], the same for all replicas."""

    values: Tensor


@dataclass(frozen=True)
class SignConcordant:
    """V = F o sign(W). F is 1 without a `factor`; it has negative values only if `flips`."""

    factor: Factor | None = None
    flips: bool = False


@dataclass(frozen=True)
class Computed:
    """V is what `write(W, V)` writes into V after every update; both [R', F], in the type of products.

    It computes on its device alone and reads no value, so that a CUDA graph can capture it.
    """

    write: Callable[[Tensor, Tensor], None]


#: (gradients of W [R', F], gradients of V [R', F] to fill): how a V learns from W's gradients, laid out alike
Learn = Callable[[Tensor, Tensor], None]


@dataclass(frozen=True)
class Learned:
    """V starts from `start` [F] and is updated by W's rule (rate, momentum, decay, signs) if W is.

    `learn` fills its gradients from those of W. Without it they are the products of the error that is sent and of
    each layer's input (`direct` routes).
    """

    start: Tensor
    learn: Learn | None = None


@dataclass(frozen=True)
class Mirrored:
    """V starts from `start` [F]; after each update it gets `rate` times what noise through W correlates to.

    The noise is uniform in [-width / 2, width / 2). `decay` is the share of V that is taken away before. `passes`
    are epochs of mirroring before training. `noise` has uniform [0, 1) numbers for each layer [N, ...], drawn anew
    after every update and the same for all replicas.
    """

    start: Tensor
    rate: float
    width: float
    decay: float
    passes: int
    noise: tuple[Tensor, ...]


Form = Transposed | Fixed | SignConcordant | Computed | Learned | Mirrored


def write_signed(
    factor: Float[Tensor, "F"] | None,
    W: Float[Tensor, "*replicas F"],
    V: Float[Tensor, "*replicas F"],
    *,
    flips: bool = False,
) -> None:
    """Write factor o sign(W) into V (1 o sign(W) if None); the factor is negative only with `flips`.

    The sign of 0 is 1 and that of -0.0 is -1: it is what a negative number leaves that was too small for its type.
    Allocates nothing that grows with W.

    >>> V = torch.empty(3)
    >>> write_signed(torch.tensor([0.5, 0.5, 0.5]), torch.tensor([3.0, -2.0, 0.0]), V)
    >>> V
    tensor([ 0.5000, -0.5000,  0.5000])
    """
    if factor is None or flips:
        torch.copysign(torch.ones((), dtype=W.dtype, device=W.device), W, out=V)
    else:
        torch.copysign(factor, W, out=V)
    if factor is not None and flips:
        V.mul_(factor)


def write_form(form: Form, W: Tensor, V: Tensor, columns: slice = slice(None)) -> None:
    """Write V [R', F'] of a form that follows from W [R', F'] or is fixed, for these `columns` of rows."""
    match form:
        case Transposed():
            V.copy_(W)
        case Fixed(values):
            V.copy_(values[columns])
        case SignConcordant(factor, flips):
            write_signed(factor.values[columns] if factor else None, W, V, flips=flips)
        case Computed(write):
            write(W, V)
        case _:
            raise AssertionError("a learned V is not written")
