"""What builders of schemes may ask of a stack: its layout, constants, and draws that its schemes share."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from asymbp_cli.specs.feedback import LayerFeedback
from asymbp_cli.training.draws import Normal, Stream, Uniform, generator
from asymbp_cli.training.feedback.forms import Factor
from asymbp_cli.training.model import Model, Parameter

#: `LayerFeedback.scale` -> size of V, from fan in, fan out, and whether the layer is a convolution
SCALES: dict[str, Callable[[int, int, bool], float]] = {
    "glorot": lambda fan_in, fan_out, convolves: (2 / (fan_in + fan_out)) ** 0.5,
    "kaiming": lambda fan_in, fan_out, convolves: (3 * fan_in) ** -0.5,
    "fan": lambda fan_in, fan_out, convolves: (2 / fan_out) ** 0.5 if convolves else fan_in**-0.5,
}
UNIFORM_OVER_DEVIATION = 3**0.5  # the bound of a uniform distribution over its standard deviation


@dataclass(frozen=True)
class _Redrawn:
    """A factor that is computed from every new M and S_p: M o S_p o gain."""

    flip_probability: float
    gain: Tensor | None
    values: Tensor


class Site:
    """A stack's layout, constants, and the random draws that its schemes share.

    `factors` [K, F] are the rows that factors are kept in.
    """

    def __init__(self, model: Model, seed: int, factors: Tensor) -> None:
        self.model, self.seed, self._factors = model, seed, factors
        self._used = 0
        self._streams: dict[str, Stream] = {}
        self._drawn: dict[str, Tensor] = {}  # rows, by role
        self._magnitudes: Factor | None = None  # redrawn
        self._redrawn: list[_Redrawn] = []

    def _row(self) -> Factor:
        self._used += 1
        return Factor(self._used - 1, self._factors[self._used - 1])

    def send(self, row: Tensor) -> Tensor:
        """Return a row [F] in the type of products, on the stack's device."""
        return row.to(self.device, self.model.dtype)

    @property
    def device(self) -> torch.device:
        """Return the stack's device."""
        return self._factors.device

    def constant(self, values: Tensor) -> Factor:
        """Return a factor of `values` [F]."""
        factor = self._row()
        factor.values.copy_(values)
        return factor

    def gain(self, feedback: LayerFeedback, *, of_magnitudes: bool = False) -> Tensor | None:
        """Return the factor of each weight [F] by scale and density of a feedback, on the CPU; None if it is 1."""
        scale = SCALES.get(feedback.scale)
        if scale is None and feedback.density == 1:
            return None

        def size(part: Parameter) -> float:
            return scale(part.fan_in, part.fan_out, len(part.shape) == 4) if scale else 1.0

        row = self.model.row_of(size)
        return self.thin(row * UNIFORM_OVER_DEVIATION if scale and of_magnitudes else row, feedback.density)

    def thin(self, values: Tensor, density: float) -> Tensor:
        """Return `values` [F], on the CPU, with 0 for all but a share `density` of them.

        Shares are nested: what is there at a density is there at every larger one.
        """
        if density == 1:
            return values
        drawn = torch.empty(self.model.feedback_size).uniform_(generator=generator(self.seed, "density"))
        return values * (drawn < density)

    def drawn_once(self, flip_probability: float, gain: Tensor | None = None) -> Factor:
        """Return M o S_p (o `gain`), drawn once on the CPU, so that every device has the same."""
        magnitudes, uniform = (
            Uniform(self.seed, role, torch.empty(self.model.feedback_size)).next()
            for role in ("magnitudes", "flips")
        )
        factor = random_factor(magnitudes, uniform, flip_probability)
        return self.constant(factor if gain is None else factor * gain)

    def redrawn(self, flip_probability: float, gain: Tensor | None = None) -> Factor:
        """Return M o S_p (o `gain`), drawn anew by `redraw`. All of a stack's schemes share the draws."""
        if self._magnitudes is None:
            self._magnitudes = self._row()
            self.draw_row("magnitudes", Uniform, self._magnitudes.values)
        if not flip_probability and gain is None:
            return self._magnitudes
        if flip_probability:
            self.draw_row("flips", Uniform)
        factor = self._row()
        gain = None if gain is None else gain.to(self.device)
        self._redrawn.append(_Redrawn(flip_probability, gain, factor.values))
        return factor

    def noise(self) -> Tensor:
        """Return N(0, 1) [F], drawn anew by `redraw`. All of a stack's schemes share the draws."""
        return self.draw_row("noise", Normal)

    def draw_row(self, role: str, kind: type[Stream], row: Tensor | None = None) -> Tensor:
        """Return a row [F] of this role, drawn anew by `redraw`.

        The V of the first layer, which only measures see, has a stream of its own: no other draw depends on it.
        """
        if role not in self._drawn:
            row = torch.empty(self.model.feedback_size, device=self.device) if row is None else row
            self._drawn[role], passed = row, self.model.passed_size
            self._streams[role] = kind(self.seed, role, row[:passed])
            if self.model.feeds_first:
                self._streams[f"{role}-first"] = kind(self.seed, f"{role}-first", row[passed:])
        return self._drawn[role]

    def stream(self, role: str, size: int) -> Tensor:
        """Return uniform [0, 1) numbers [size] of this role, drawn anew by `redraw`."""
        if role not in self._streams:
            self._streams[role] = Uniform(self.seed, role, torch.empty(size, device=self.device))
        return self._streams[role].values

    def normal(self, sigma: float) -> Tensor:
        """Return N(0, sigma^2) [F], drawn once on the CPU layer by layer."""
        return self.send(self.model.random_feedback(self.seed, sigma))

    def initial(self) -> Tensor:
        """Return the initial weights [F] of the layers that V belongs to, on the CPU."""
        return self.model.initial_row(self.seed)[: self.model.feedback_size]

    @property
    def generators(self) -> list[torch.Generator]:
        """Return the generators that `redraw` draws from."""
        return [stream.generator for stream in self._streams.values()]

    def begin_epoch(self, epoch: int) -> None:
        """Start the random streams of `epoch` (from 1), so that a resumed training draws the same."""
        for stream in self._streams.values():
            stream.begin(epoch)

    def redraw(self) -> None:
        """Draw the next M, S_p and noise."""
        for stream in self._streams.values():
            stream.next()
        for part in self._redrawn:
            if part.flip_probability:
                random_factor(
                    self._drawn["magnitudes"], self._drawn["flips"], part.flip_probability, out=part.values
                )
            else:
                part.values.copy_(self._drawn["magnitudes"])
            if part.gain is not None:
                part.values.mul_(part.gain)


def random_factor(
    magnitudes: Float[Tensor, "*F"],
    uniform: Float[Tensor, "*F"],
    flip_probability: float,
    *,
    out: Float[Tensor, "*F"] | None = None,
) -> Float[Tensor, "*F"]:
    """Return M o S_p, in `out` if given. S_p is -1 if `uniform` in [0, 1) is below p: flips are nested in p.

    >>> random_factor(torch.tensor([0.5, 0.25]), torch.tensor([0.1, 0.9]), 0.3)
    tensor([-0.5000,  0.2500])
    """
    return torch.copysign(magnitudes, uniform - flip_probability, out=out)
