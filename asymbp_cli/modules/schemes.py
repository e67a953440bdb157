"""Feedback schemes for the layers of any module: what is built of a row of `specs/schemes.py`.

Layers are called by number, from 1 in the order in which a module registers them.
"""

from collections.abc import Callable
from functools import partial
from math import ceil

import torch
from torch import Tensor, nn

from asymbp_cli.modules.draws import Source
from asymbp_cli.modules.layers import Asymmetric, AsymmetricLinear
from asymbp_cli.modules.rules import (
    Direct,
    Exact,
    Kept,
    Learned,
    Mirrored,
    Noisy,
    Redrawn,
    Rule,
    Signed,
    Ternary,
    sign,
)
from asymbp_cli.specs.feedback import LayerFeedback
from asymbp_cli.training.feedback.site import SCALES, UNIFORM_OVER_DEVIATION, random_factor


class Place:
    """What is built for a layer that gets feedback, and its draws. The layer itself stays, until `install`."""

    def __init__(self, layer: Asymmetric, source: Source, *, last: bool) -> None:
        self.layer, self.source, self.last = layer, source, last
        self.W = layer.weight.detach().float().cpu()
        self._buffers: dict[str, Tensor] = {}
        self._parameters: dict[str, nn.Parameter] = {}
        self._counter: Tensor | None = None

    def install(self, layer: Asymmetric) -> None:
        """Give the layer all that has been built for it. Nothing here can fail."""
        for name, values in self._buffers.items():
            layer.register_buffer(name, values)
        for name, parameter in self._parameters.items():
            layer.register_parameter(name, parameter)
        if self._counter is not None:
            layer.feedback_counter = self._counter

    def keep(self, name: str, values: Tensor) -> None:
        """Build a tensor of the layer that moves and is saved with it."""
        self._buffers[name] = values.to(self.layer.weight.device, self.layer.weight.dtype)

    def fix(self, values: Tensor, feedback: LayerFeedback) -> Rule:
        """Return the rule of a V that stays."""
        self.keep(
            "feedback_weight", values if feedback.density == 1 else values * self.mask(feedback, values.shape)
        )
        return Kept()

    def learn(self, values: Tensor) -> None:
        """Build a V that an optimizer trains if it trains W."""
        W = self.layer.weight.detach()
        V = torch.empty_like(W) if values.shape == W.shape else W.new_empty(values.shape)  # laid out as W is
        V.copy_(values)
        self._parameters["feedback_weight"] = nn.Parameter(V, self.layer.weight.requires_grad)

    def count(self) -> None:
        """Let the layer draw anew in every forward pass of training."""
        self._counter = self.source.begin()

    def scale(self, feedback: LayerFeedback) -> float:
        """Return the size of V."""
        size = SCALES.get(feedback.scale)
        return size(*self.layer.fans(), not isinstance(self.layer, AsymmetricLinear)) if size else 1.0

    def bound(self, feedback: LayerFeedback) -> float:
        """Return the bound of M."""
        return 1.0 if feedback.scale == "unit" else self.scale(feedback) * UNIFORM_OVER_DEVIATION

    def mask(self, feedback: LayerFeedback, shape: torch.Size) -> Tensor:
        """Return 1 for weights of V that are there, else 0. What is there at a density is at every larger one."""
        return (self.source.uniform("density", shape) < feedback.density).float()

    def keep_mask(self, feedback: LayerFeedback) -> bool:
        """Build the factor of a density; return whether there is one."""
        if feedback.density < 1:
            self.keep("feedback_factor", self.mask(feedback, self.W.shape))
        return feedback.density < 1

    def draw_like_weights(self) -> Tensor:
        """Return numbers distributed as W's, in W's shape.

        They are W's own in random order. If they are all equal, they are N(0, 2 / (fan in + fan out)).
        """
        if bool((self.W.flatten()[0] == self.W).all()):
            return self.source.normal("random-feedback", self.W.shape, (2 / sum(self.layer.fans())) ** 0.5)
        return self.source.shuffle("random-feedback", self.W)


def _signed(feedback: LayerFeedback, place: Place) -> Rule:
    return Signed(place.scale(feedback), factored=place.keep_mask(feedback))


def _nusf(feedback: LayerFeedback, place: Place) -> Rule:
    return Signed(1 / place.layer.fans()[0], factored=place.keep_mask(feedback))


def _brsf(feedback: LayerFeedback, place: Place) -> Rule:
    place.count()
    return Redrawn(feedback.flip_probability, place.bound(feedback), factored=place.keep_mask(feedback))


def _frsf(feedback: LayerFeedback, place: Place) -> Rule:
    magnitudes, uniform = (place.source.uniform(role, place.W.shape) for role in ("magnitudes", "flips"))
    factor = random_factor(magnitudes, uniform, feedback.flip_probability)
    if feedback.density < 1:
        factor *= place.mask(feedback, factor.shape)
    place.keep("feedback_factor", factor * place.bound(feedback))
    return Signed(factored=True)


def _rndf(feedback: LayerFeedback, place: Place) -> Rule:
    return place.fix(place.source.normal("random-feedback", place.W.shape, feedback.sigma), feedback)


def _fa(feedback: LayerFeedback, place: Place) -> Rule:
    return place.fix(place.draw_like_weights(), feedback)


def _soft(feedback: LayerFeedback, place: Place) -> Rule:
    r = feedback.alignment
    return place.fix(r * place.W + (1 - r * r) ** 0.5 * place.draw_like_weights(), feedback)


def _startsf(feedback: LayerFeedback, place: Place) -> Rule:
    return place.fix(sign(place.W, place.scale(feedback)), feedback)


def _noisy(feedback: LayerFeedback, place: Place) -> Rule:
    place.count()
    return Noisy(feedback.noise)


def _kp(feedback: LayerFeedback, place: Place) -> Rule:
    place.learn(place.draw_like_weights())
    return Learned()


def _pfa(feedback: LayerFeedback, place: Place, *, orthogonal: bool) -> Rule:
    """Return V = B R, of which R would get the gradient B^T g: so V gets B B^T g.

    B is N(0, 1 / r) or orthogonal, and R is normal with the deviation of W.
    """
    rows = place.layer.to_rows(place.W)
    outputs = len(rows)
    width = outputs if orthogonal else ceil(feedback.expansion * outputs)
    B = place.source.normal("path", (outputs, width), width**-0.5)
    R = place.source.normal("random-feedback", (width, rows.shape[1]), float(rows.std(correction=0)))
    if orthogonal:
        B = torch.linalg.qr(B)[0]
    else:
        place.keep("feedback_square", B @ B.T)
    place.learn(place.layer.from_rows(B @ R))
    return Learned(squared=not orthogonal)


def _wm(feedback: LayerFeedback, place: Place) -> Rule:
    place.keep("feedback_weight", place.draw_like_weights())
    place.count()
    return Mirrored(feedback.mirror_rate, feedback.mirror_noise, feedback.mirror_decay, place.last)


Builder = Callable[[LayerFeedback, Place], Rule]

#: scheme -> what builds the rule of a layer's V, if its route is layerwise
BUILDERS: dict[str, Builder] = {
    "bp": lambda feedback, place: Exact(),
    "usf": _signed,
    "nusf": _nusf,
    "brsf": _brsf,
    "frsf": _frsf,
    "rndf": _rndf,
    "fa": _fa,
    "soft": _soft,
    "startsf": _startsf,
    "noisy": _noisy,
    "ternary": lambda feedback, place: Ternary(),
    "sham": lambda feedback, place: Rule(),
    "kp": _kp,
    "wm": _wm,
    "pfa": partial(_pfa, orthogonal=False),
    "pfa-o": partial(_pfa, orthogonal=True),
}


def build_direct(feedback: LayerFeedback, place: Place, classes: int, inputs: int) -> Rule:
    """Return the rule of a V [classes, inputs]: N(0, 2 / (classes + inputs)), which learns if the scheme does."""
    values = place.source.normal("random-feedback", (classes, inputs), (2 / (classes + inputs)) ** 0.5)
    if feedback.kind.learned:
        place.learn(values)
    else:
        place.fix(values, feedback)
    return Direct()
