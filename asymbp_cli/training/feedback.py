"""Feedback schemes (section 2): what the backward pass uses in place of the forward weights W.

Every scheme of the paper is one of three forms: V = W (BP), V fixed (RndF), or V = F o sign(W) with a factor F
that depends on no weight (uSF, NuSF, brSF, frSF). So one elementwise expression over a flat bank serves any
number of layers and replicas. `feedback_weights` is the definition layer by layer, which the bank must equal.
"""

import torch
from torch import Tensor

from asymbp_cli.specs.methods import Feedback


def sign(W: Tensor) -> Tensor:
    """Return -1 where W < 0, else 1: the paper's sign is never 0.

    -0.0 is what a negative number leaves that was too small for its type, and counts as negative.
    """
    return torch.where(W.signbit(), -torch.ones_like(W), torch.ones_like(W))


def feedback_weights(
    feedback: Feedback,
    W: Tensor,
    *,
    M: Tensor | None = None,
    flips: Tensor | None = None,
    random: Tensor | None = None,
    fan_in: int = 1,
) -> Tensor:
    """Return V for one layer's W, in W's shape (section 2; NuSF section 5, Exp. A).

    M is uniform in [0, 1], `flips` is True where S_p is -1, `random` is RndF's N(0, sigma^2) draw, all in W's
    shape; `fan_in` is filter width * filter height * input features. Raises ValueError where the scheme lacks
    a draw that it needs.
    """
    match feedback.scheme:
        case "bp":
            return W
        case "usf":
            return sign(W)
        case "nusf":
            return sign(W) / fan_in
        case "brsf" | "frsf" if M is not None:
            return M * sign(W) if flips is None else M * sign(W) * torch.where(flips, -1.0, 1.0).to(W.dtype)
        case "rndf" if random is not None:
            return random
    raise ValueError(f"{feedback.scheme} lacks its random draw")


def random_factor(
    magnitudes: Tensor, uniform: Tensor, flip_probability: float, *, out: Tensor | None = None
) -> Tensor:
    """Return M o S_p, in `out` if given; S_p is -1 where `uniform` in [0, 1) is below p: flips are nested in p."""
    return torch.copysign(magnitudes, uniform - flip_probability, out=out)


def write_signed(factor: Tensor | None, W: Tensor, V: Tensor, *, flips: bool = False) -> None:
    """Write F o sign(W) into V (F = 1 where None); F broadcasts against W and is negative only with `flips`.

    Allocates nothing that grows with W.
    """
    if factor is None or flips:
        torch.copysign(torch.ones((), dtype=W.dtype, device=W.device), W, out=V)
    else:
        torch.copysign(factor, W, out=V)
    if factor is not None and flips:
        V.mul_(factor)
