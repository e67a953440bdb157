"""Feedback schemes (section 2): what the backward pass uses in place of the forward weights W.

A scheme is a row in `specs/schemes.py` and a builder here. The builder returns the form that its V takes, over
flat rows of all layers but the first: V = W (`Transposed`), drawn once (`Fixed`), F o sign(W) (`SignConcordant`),
or anything else that follows from W (`Computed`). One form serves any number of layers and replicas.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from asymbp_cli.specs.methods import Feedback
from asymbp_cli.training.draws import Uniform
from asymbp_cli.training.model import Model


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


Form = Transposed | Fixed | SignConcordant | Computed


class Site:
    """What builders may ask of a stack: its layout, constants, and draws that its schemes share.

    `factors` [K, F] are the rows that factors are kept in.
    """

    def __init__(self, model: Model, seed: int, factors: Tensor) -> None:
        self.model, self._seed, self._factors = model, seed, factors
        self._used = 0
        self._streams: dict[str, Uniform] = {}
        self._magnitudes: Factor | None = None  # redrawn
        self._flipped: list[tuple[float, Tensor]] = []  # factors to compute from redrawn M and S_p

    def _row(self) -> Factor:
        self._used += 1
        return Factor(self._used - 1, self._factors[self._used - 1])

    def constant(self, values: Tensor) -> Factor:
        """Return a factor of `values` [F]."""
        factor = self._row()
        factor.values.copy_(values)
        return factor

    def drawn_once(self, flip_probability: float) -> Factor:
        """Return M o S_p, drawn once on the CPU, so that every device has the same."""
        magnitudes, uniform = (
            Uniform(self._seed, role, torch.empty(self.model.feedback_size)).next()
            for role in ("magnitudes", "flips")
        )
        return self.constant(random_factor(magnitudes, uniform, flip_probability))

    def redrawn(self, flip_probability: float) -> Factor:
        """Return M o S_p, drawn anew by `redraw`. All of a stack's schemes share the draws."""
        if self._magnitudes is None:
            self._magnitudes = self._row()
            self._streams["magnitudes"] = Uniform(self._seed, "magnitudes", self._magnitudes.values)
        if not flip_probability:
            return self._magnitudes
        if "flips" not in self._streams:
            self._streams["flips"] = Uniform(self._seed, "flips", torch.empty_like(self._magnitudes.values))
        factor = self._row()
        self._flipped.append((flip_probability, factor.values))
        return factor

    def normal(self, sigma: float) -> Tensor:
        """Return N(0, sigma^2) [F], drawn once on the CPU layer by layer."""
        return self.model.random_feedback(self._seed, sigma).to(self._factors.device, self.model.dtype)

    @property
    def generators(self) -> list[torch.Generator]:
        """Return the generators that `redraw` draws from."""
        return [stream.generator for stream in self._streams.values()]

    def begin_epoch(self, epoch: int) -> None:
        """Start the random streams of `epoch` (from 1), so that a resumed training draws the same."""
        for stream in self._streams.values():
            stream.begin(epoch)

    def redraw(self) -> None:
        """Draw the next M and S_p."""
        drawn = {role: stream.next() for role, stream in self._streams.items()}
        for probability, values in self._flipped:
            random_factor(drawn["magnitudes"], drawn["flips"], probability, out=values)


Builder = Callable[[Feedback, Site], Form]

#: scheme -> what computes its V; the keys are those of `specs.schemes.SCHEMES`
BUILDERS: dict[str, Builder] = {
    "bp": lambda feedback, site: Transposed(),
    "usf": lambda feedback, site: SignConcordant(),
    "nusf": lambda feedback, site: SignConcordant(site.constant(1 / site.model.fan_in_row())),
    "brsf": lambda feedback, site: SignConcordant(
        site.redrawn(feedback.flip_probability), flips=feedback.flip_probability > 0
    ),
    "frsf": lambda feedback, site: SignConcordant(
        site.drawn_once(feedback.flip_probability), flips=feedback.flip_probability > 0
    ),
    "rndf": lambda feedback, site: Fixed(site.normal(feedback.sigma)),
}


def random_factor(
    magnitudes: Float[Tensor, "F"],
    uniform: Float[Tensor, "F"],
    flip_probability: float,
    *,
    out: Float[Tensor, "F"] | None = None,
) -> Float[Tensor, "F"]:
    """Return M o S_p, in `out` if given. S_p is -1 if `uniform` in [0, 1) is below p: flips are nested in p.

    >>> random_factor(torch.tensor([0.5, 0.25]), torch.tensor([0.1, 0.9]), 0.3)
    tensor([-0.5000,  0.2500])
    """
    return torch.copysign(magnitudes, uniform - flip_probability, out=out)


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
