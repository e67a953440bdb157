"""How the V of one layer comes about, by scheme; `training/feedback/forms.py` has the same for flat banks.

A rule holds numbers. Tensors are the layer's, so that they move, are saved and are copied with it.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from asymbp_cli.modules.draws import redraw
from asymbp_cli.modules.functions import Learn
from asymbp_cli.training.feedback.schemes import round_to_ternary
from asymbp_cli.training.feedback.site import random_factor

if TYPE_CHECKING:
    from asymbp_cli.modules.layers import Asymmetric


def sign(W: Tensor, size: float = 1.0) -> Tensor:
    """Return `size` with the sign of each weight; that of 0 is 1, and that of -0.0 is -1."""
    return torch.copysign(torch.scalar_tensor(size, dtype=W.dtype, device=W.device), W)


class Rule:
    """V = W: plain backpropagation, and the base of the others."""

    is_exact = False  # V is W, so that the layer goes back as torch's does
    follows = True  # V has the shape of W and is not W itself, so that they can be compared

    def begin(self, layer: "Asymmetric", x: Tensor) -> None:
        """Change the layer's tensors before a forward pass of training with input x."""

    def value(self, layer: "Asymmetric") -> Tensor:
        """Return V."""
        return layer.weight.detach()

    def learn(self, layer: "Asymmetric") -> Learn | None:
        """Return the function from W's gradient to V's; None if V has no gradient."""
        return None


@dataclass(frozen=True)
class Exact(Rule):
    """V = W in a layer to which no scheme belongs."""

    is_exact = True
    follows = False


@dataclass(frozen=True)
class Signed(Rule):
    """V = gain o sign(W) [o `feedback_factor`]."""

    gain: float = 1.0
    factored: bool = False

    def value(self, layer: "Asymmetric") -> Tensor:
        """Return V."""
        V = sign(layer.weight.detach(), self.gain)
        return V.mul_(layer.feedback_factor) if self.factored else V


class _Drawn(Rule):
    """V has random numbers, drawn for every forward pass of training."""

    def begin(self, layer: "Asymmetric", x: Tensor) -> None:
        """Count, which makes the next draw."""
        layer.feedback_counter[2] += 1


@dataclass(frozen=True)
class Redrawn(_Drawn):
    """V = bound M o sign(W) [o S_p] [o `feedback_factor`], with M uniform in [0, 1) and signs S_p."""

    flip_probability: float
    bound: float = 1.0
    factored: bool = False

    def value(self, layer: "Asymmetric") -> Tensor:
        """Return V."""
        W = layer.weight.detach()
        factor = redraw(layer.feedback_counter, W, "magnitudes")
        if self.flip_probability:
            uniform = redraw(layer.feedback_counter, W, "flips")
            factor = random_factor(factor, uniform, self.flip_probability)
        V = sign(W, self.bound).mul_(factor)
        return V.mul_(layer.feedback_factor) if self.factored else V


@dataclass(frozen=True)
class Noisy(_Drawn):
    """V = W + s N(0, 1) o |W|, s being the `noise`."""

    noise: float

    def value(self, layer: "Asymmetric") -> Tensor:
        """Return V."""
        W = layer.weight.detach()
        return W.abs().mul_(redraw(layer.feedback_counter, W, "noise")).mul_(self.noise).add_(W)


@dataclass(frozen=True)
class Ternary(Rule):
    """V has three values: those of W, rounded."""

    def value(self, layer: "Asymmetric") -> Tensor:
        """Return V."""
        W = layer.weight.detach()
        return round_to_ternary(W.float().reshape(1, -1)).view(W.shape).to(W.dtype)


@dataclass(frozen=True)
class Kept(Rule):
    """V is `feedback_weight`, and nothing changes it."""

    def value(self, layer: "Asymmetric") -> Tensor:
        """Return V."""
        return layer.feedback_weight


@dataclass(frozen=True)
class Learned(Kept):
    """V is the parameter `feedback_weight`; its gradient is that of W, times `feedback_square` if there is one."""

    squared: bool = False

    def learn(self, layer: "Asymmetric") -> Learn:
        """Return the function from W's gradient to V's."""
        return partial(_spread, layer) if self.squared else torch.clone


def _spread(layer: "Asymmetric", gradient: Tensor) -> Tensor:
    """Return B B^T g of the gradient g of W: what B R gets, if R gets B^T g."""
    spread = layer.feedback_square.to(gradient.dtype) @ layer.to_rows(gradient)
    return torch.empty_like(gradient).copy_(layer.from_rows(spread))  # laid out as DDP wants it


@dataclass(frozen=True)
class Mirrored(Kept):
    """The weight mirror: noise through W changes `feedback_weight` before every forward pass of training.

    V = (1 - decay) V + rate sum(y x^T), y = f(W x + b). The noise x has the shape of the layer's input. f is ReLU
    except in the last layer, which has none.

    Source: Akrout, Wilson, Humphreys, Lillicrap and Tweed 2019, section 4.
    """

    rate: float
    width: float
    decay: float
    last: bool

    def begin(self, layer: "Asymmetric", x: Tensor) -> None:
        """Mirror once."""
        self.mirror(layer, x)

    @torch.no_grad()
    def mirror(self, layer: "Asymmetric", x: Tensor) -> None:
        """Change V by noise in the shape of x."""
        layer.feedback_counter[2] += 1
        with torch.autocast(x.device.type, enabled=False):
            noise = redraw(layer.feedback_counter, x.detach(), "mirror").to(layer.weight.dtype)
            noise = noise.sub_(0.5).mul_(self.width)
            y = layer.multiply(noise)
            change = layer.correlate(noise, y if self.last else y.relu_())
        layer.feedback_weight.mul_(1 - self.decay).add_(change, alpha=self.rate)

    def value(self, layer: "Asymmetric") -> Tensor:
        """Return a copy of V: the next forward pass may change it before this one has gone back."""
        return layer.feedback_weight.clone()


@dataclass(frozen=True)
class Direct(Rule):
    """V [classes, inputs] carries a signal from the output to the layer's input, which gets no other error."""

    follows = False
