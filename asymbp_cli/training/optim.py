"""Update rules (section 3): w(t+1) = w(t) + eta * tau(t), g being the gradient over the mini-batch.

    setting 0 (sgd)   tau = -g + m tau(t-1) - d w
    setting 1 (bm1)   tau = -sign(g) + m tau(t-1) - d w
    setting 2 (bm2)   tau = sign(-sign(g) + m tau(t-1) - d w)
    setting 3 (bm3)   tau = sign(kappa),  kappa = -sign(g) + m kappa(t-1) - d w
    Adam              tau = -a / (sqrt(b) + epsilon), a and b being averages of g + d w and of its square

Sources: Liao, Leibo and Poggio 2016, section 3; Kingma and Ba 2015, algorithm 1, whose gradient has the weight
decay in it. All functions are elementwise: a tensor may hold one layer or the parameters of a whole stack [R, P]
with rate, momentum and decay as [R, 1] columns.
"""

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

Setting = Literal["sgd", "bm1", "bm2", "bm3"]
SETTINGS: tuple[Setting, ...] = get_args(Setting)
Number = Tensor | float | int
#: (w, g, state, rate, momentum, decay), rate being a column and state [R', states, P]: overwrites state with its
#: next value and g with w(t+1), leaving w
Rule = Callable[[Tensor, Tensor, Tensor, Tensor, float, Tensor], None]
#: the rules of plugins, by name
RULES: dict[str, Rule] = {}


def find_setting(update: str) -> Setting:
    """Return the setting of that name."""
    return SETTINGS[SETTINGS.index(update)]


def propose_(
    setting: Setting,
    w: Float[Tensor, "*shape"],
    g: Float[Tensor, "*shape"],
    state: Float[Tensor, "*shape"],
    *,
    rate: Number,
    momentum: Number,
    decay: Number,
    zero_sign: int = 0,
    nesterov: bool = False,
) -> None:
    """Overwrite `state` with its next value and `g` with w(t+1), leaving w: nothing is allocated.

    `state` is kappa in setting 3 and tau otherwise. `zero_sign` (0 or 1) is the sign of an exact 0, which the
    paper does not state. With `nesterov` setting 0 steps by -g + m tau - d w, as torch.optim.SGD does (Sutskever
    et al. 2013); momentum is then a float.

    >>> w, g, state = torch.tensor([1.0]), torch.tensor([0.25]), torch.tensor([0.0])
    >>> propose_("bm1", w, g, state, rate=0.5, momentum=0.9, decay=0.0)
    >>> g.tolist(), state.tolist(), w.tolist()
    ([0.5], [-1.0], [1.0])
    """
    if setting != "sgd":
        _sign_(g, zero_sign)
    if isinstance(momentum, Tensor) or momentum:
        state.mul_(momentum).sub_(g)
    else:
        torch.neg(g, out=state)
    if isinstance(decay, Tensor) or decay:
        state.addcmul_(w, _column(decay, w), value=-1)
    tau = state
    if setting == "bm2":
        tau = _sign_(state, zero_sign)
    elif setting == "bm3":
        tau = _sign_(g.copy_(state), zero_sign)
    elif setting == "sgd" and nesterov:
        tau = g.neg_().add_(state, alpha=float(momentum))
        if isinstance(decay, Tensor) or decay:
            tau.addcmul_(w, _column(decay, w), value=-1)
    torch.addcmul(w, tau, _column(rate, w), out=g)


def propose_by_adam_(
    w: Float[Tensor, "R P"],
    g: Float[Tensor, "R P"],
    state: Float[Tensor, "R 2 P"],
    *,
    rate: Tensor,
    betas: tuple[float, float],
    epsilon: float,
    decay: Tensor,
    steps: Tensor,
) -> None:
    """Overwrite `state`, the averages of the gradient and of its square, and `g` with w(t+1), leaving w.

    Averages start at 0, and are corrected for it: `steps` counts the updates since then, this one included.
    """
    mean, square = state.unbind(1)
    of_mean, of_square = betas
    g.addcmul_(w, decay)
    mean.lerp_(g, 1 - of_mean)
    square.mul_(of_square).addcmul_(g, g, value=1 - of_square)
    torch.sqrt(square, out=g).div_(weight_of_steps(of_square, steps).sqrt()).add_(epsilon)
    torch.div(mean, g, out=g)
    torch.addcmul(w, g, -rate / weight_of_steps(of_mean, steps), out=g)


def weight_of_steps(beta: float, steps: Tensor) -> Tensor:
    """Return 1 - beta^steps: the weight of all gradients so far in a moving average that began at 0."""
    return -torch.expm1(steps * (math.log(beta) if beta else -math.inf))


def _sign_(x: Tensor, zero_sign: int) -> Tensor:
    """Replace x by its sign; not-a-number stays (as in MATLAB), so that a broken gradient is noticed.

    torch.sign would turn it into 0. The largest number squared lifts even the smallest one above 1.
    """
    largest = torch.finfo(x.dtype).max
    if zero_sign:
        x.add_(x == 0)
    return x.mul_(largest).mul_(largest).clamp_(-1, 1)


def _column(value: Number, like: Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=like.dtype, device=like.device)
