"""What schemes and update rules mean, layer by layer and in plain operations: the oracle of the banks."""

from typing import Any

import torch
from torch import Tensor

from asymbp_cli.specs.feedback import Feedback
from asymbp_cli.training.optim import Number, Setting, propose_


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
    shape; `fan_in` is filter width * filter height * input features. Raises ValueError if the scheme lacks
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


def update(
    setting: Setting,
    w: Tensor,
    g: Tensor,
    state: Tensor,
    *,
    rate: Number,
    momentum: Number,
    decay: Number,
    **choices: Any,
) -> tuple[Tensor, Tensor]:
    """Return (w(t+1), state(t)); the state is kappa in setting 3 and tau otherwise. Changes no argument.

    `choices` are `zero_sign` and `nesterov`, as in `propose_`.
    """
    proposal, state = g.clone(), state.clone()
    propose_(setting, w, proposal, state, rate=rate, momentum=momentum, decay=decay, **choices)
    return proposal, state
