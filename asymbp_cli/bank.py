"""The parameters of a stack as flat banks [R, P], one row per replica, and the elementwise work on them.

Feedback weights and updates of all replicas are a few kernels per step, whatever the network: replicas with
the same scheme (or the same update setting) lie in adjacent rows and share them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import torch
from torch import Tensor

from asymbp_cli.draws import Uniform
from asymbp_cli.feedback import random_factor, write_signed
from asymbp_cli.methods import Feedback
from asymbp_cli.model import Model
from asymbp_cli.optim import propose_
from asymbp_cli.runs import Run


@dataclass(frozen=True)
class _Segment:
    """Columns that one update rule treats alike."""

    columns: slice
    decays: bool
    signs: bool


class Bank:
    """Weights, optimizer state, gradients and feedback weights of R replicas of one model."""

    def __init__(self, runs: Sequence[Run], model: Model, device: torch.device) -> None:
        self.model, self.protocol, self.seed = model, runs[0].protocol, runs[0].seed
        start = model.initial_row(self.seed).to(device)
        self.weights = start.repeat(len(runs), 1)  # [R, P]
        self.working = self.weights if model.dtype == torch.float32 else self.weights.to(model.dtype)
        self.state = torch.zeros_like(self.weights)  # tau or kappa of section 3
        self.gradients = torch.zeros_like(self.weights)
        self._multipliers = torch.tensor([[run.rate_multiplier] for run in runs], device=device)  # [R, 1]
        self._rates = torch.zeros_like(self._multipliers)  # learning rate of the present epoch
        self.alive = torch.ones(len(runs), dtype=torch.bool, device=device)
        self._decay = {  # on the device already: a number would be copied there in every step
            True: torch.tensor(self.protocol.weight_decay, device=device),
            False: torch.tensor(0.0, device=device),
        }
        self._updates = _adjacent(runs, lambda run: run.method.update)
        self._train = runs[0].method.train
        self._segments = self._lay_segments()
        self._views = [model.views(row) for row in self.working]
        names = [p.name for p in model.parameters if self._trains(p.layer)]
        self._trained = [[views[name].requires_grad_() for name in names] for views in self._views]
        self._targets = [[model.views(row)[name] for name in names] for row in self.gradients]
        schemes = _adjacent(runs, lambda run: run.method.feedback)
        self._feedback = [_Feedback(scheme, rows, self) for scheme, rows in schemes]
        redrawn = [scheme for scheme, _ in schemes if scheme.scheme == "brsf"]
        self._streams = _streams(self.seed, redrawn, model.feedback_size, device)

    def _trains(self, layer: int) -> bool:
        return self._train == "all" or (layer == self.model.last) == (self._train == "top")

    def _lay_segments(self) -> tuple[_Segment, ...]:
        """Return the trained columns, adjacent ones with the same treatment merged."""
        p = self.protocol
        treatment = {
            "weight": (True, True),
            "bias": (p.decay_biases, p.manhattan_biases),
            "scale": (p.decay_batch_norm, True),
            "shift": (p.decay_batch_norm, True),
        }
        edges = [*(part.start for part in self.model.parameters), self.model.row_size]
        trained = [
            (span, treatment[part.kind] if self._trains(part.layer) else None)
            for part, span in zip(self.model.parameters, pairwise(edges), strict=True)
        ]
        merged = []
        for flags, spans in groupby(trained, key=lambda pair: pair[1]):
            bounds = [edge for span, _ in spans for edge in span]
            if flags is not None:
                merged.append(_Segment(slice(bounds[0], bounds[-1]), *flags))
        return tuple(merged)

    @property
    def generators(self) -> list[torch.Generator]:
        """Return what a step draws from."""
        return [stream.generator for stream in self._streams.values()]

    def begin_epoch(self, epoch: int, rate: float) -> None:
        """Start the random streams of `epoch` (from 1), so that a resumed training draws the same.

        `rate` is the learning rate at multiplier 1.
        """
        torch.mul(self._multipliers, rate, out=self._rates)
        self.use_weights()
        for stream in self._streams.values():
            stream.begin(epoch)

    def refresh_feedback(self) -> None:
        """Recompute V of every replica from its present weights, with new M and S where the scheme redraws."""
        if self._train == "top":
            return  # no error passes below the last layer
        with torch.no_grad():
            drawn = {role: stream.next() for role, stream in self._streams.items()}
            for feedback in self._feedback:
                feedback.refresh(self.working, drawn)

    @torch.no_grad()
    def use_weights(self) -> None:
        """Round the weights to the precision of products; nothing where that is theirs."""
        if self.working is not self.weights:
            self.working.copy_(self.weights)

    def parameters(self, replica: int) -> dict[str, Tensor]:
        """Return the named weights of a replica, as products take them: views, which follow every update."""
        return self._views[replica]

    def feedback(self, replica: int) -> dict[str, Tensor]:
        """Return the named feedback weights of a replica; empty for BP, whose V is W."""
        return next(f.views[replica - f.rows.start] for f in self._feedback if replica < f.rows.stop)

    def collect(self, replica: int, loss: Tensor) -> None:
        """Write the gradients of `loss` with respect to the trained parameters into the replica's row."""
        for target, gradient in zip(
            self._targets[replica], torch.autograd.grad(loss, self._trained[replica]), strict=True
        ):
            target.copy_(gradient)

    @torch.no_grad()
    def update(self, finite: Tensor) -> None:
        """Apply the update rules at the epoch's rate times each run's multiplier.

        A replica whose loss (`finite` [R], bool) or new weights are not finite is frozen before this update, for
        good. No value is read on the host.
        """
        p = self.protocol
        self.alive &= finite
        for setting, rows in self._updates:
            for part in self._segments:
                block = (rows, part.columns)
                propose_(
                    setting if part.signs else "sgd",
                    self.weights[block],
                    self.gradients[block],
                    self.state[block],
                    rate=self._rates[rows],
                    momentum=p.momentum,
                    decay=self._decay[part.decays],
                    zero_sign=p.zero_sign,
                )
        for part in self._segments:  # a sum is finite only where all of its terms are
            self.alive &= self.gradients[:, part.columns].sum(1).isfinite()
        alive = self.alive[:, None]
        for part in self._segments:
            old, new = self.weights[:, part.columns], self.gradients[:, part.columns]
            torch.where(alive, new, old, out=old)
        self.use_weights()


class _Feedback:
    """The feedback weights of adjacent replicas with one scheme."""

    def __init__(self, feedback: Feedback, rows: slice, bank: Bank) -> None:
        self.rows, self._spec = rows, feedback
        model, device, count = bank.model, bank.weights.device, rows.stop - rows.start
        self._factor: Tensor | None = None
        self._values: Tensor | None = None
        self.views: list[dict[str, Tensor]] = [{}] * count
        if feedback.scheme == "bp":
            return
        if feedback.scheme == "rndf":
            fixed = model.random_feedback(bank.seed, feedback.sigma).to(device, model.dtype)
            self.views = [model.feedback_views(fixed)] * count
            return
        self._values = torch.empty(count, model.feedback_size, device=device, dtype=model.dtype)
        self.views = [model.feedback_views(row) for row in self._values]
        if feedback.scheme == "nusf":
            self._factor = 1 / model.fan_in_row().to(device)
        elif feedback.scheme == "frsf":  # drawn on the CPU, so that every device has the same M and S
            streams = _streams(bank.seed, [feedback], model.feedback_size, torch.device("cpu"))
            drawn = {role: stream.next() for role, stream in streams.items()}
            self._factor = _factor(feedback, drawn).to(device)

    def refresh(self, weights: Tensor, drawn: Mapping[str, Tensor]) -> None:
        """Rewrite V from the bank's `weights` [R, P].

        `drawn` holds this step's M and flips, for schemes that redraw them.
        """
        if self._values is None:
            return
        factor = _factor(self._spec, drawn) if self._spec.scheme == "brsf" else self._factor
        own = weights[self.rows, : self._values.shape[1]]
        write_signed(factor, own, self._values, flips=self._spec.flip_probability > 0)


def _streams(seed: int, schemes: Sequence[Feedback], size: int, device: torch.device) -> dict[str, Uniform]:
    """Return the streams of uniform draws that `schemes` take M, and where signs flip S_p, from."""
    roles = ["magnitudes"] if schemes else []
    roles += ["flips"] if any(scheme.flip_probability for scheme in schemes) else []
    return {role: Uniform(seed, role, size, device) for role in roles}


def _factor(feedback: Feedback, drawn: Mapping[str, Tensor]) -> Tensor:
    """Return M o S_p."""
    if not feedback.flip_probability:
        return drawn["magnitudes"]
    return random_factor(drawn["magnitudes"], drawn["flips"], feedback.flip_probability)


def _adjacent(runs: Sequence[Run], key: Callable[[Run], Any]) -> list[tuple[Any, slice]]:
    """Return (key, rows) of each stretch of adjacent runs with equal keys."""
    found = []
    for value, stretch in groupby(range(len(runs)), key=lambda i: key(runs[i])):
        rows = list(stretch)
        found.append((value, slice(rows[0], rows[-1] + 1)))
    return found
