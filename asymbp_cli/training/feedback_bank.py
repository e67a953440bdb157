"""The feedback weights V of a stack's replicas: a bank [N, F] with a row for each replica whose V follows its W.

Plain backpropagation has no row, because its V is W. Feedback alignment has none either: its V is drawn once, and
all replicas share it. In the other schemes V = F o sign(W), and F is 1 or a row of `factors`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from asymbp_cli.specs.methods import Feedback
from asymbp_cli.specs.runs import Run
from asymbp_cli.training.draws import Uniform
from asymbp_cli.training.feedback import random_factor, write_signed
from asymbp_cli.training.model import Model

#: of a replica, in `FeedbackBank.slots`; from 2 on: V = factors[slot - 2] o sign(W)
NO_ROW, SIGN_ALONE = 0, 1


@dataclass(frozen=True)
class _Group:
    """Adjacent replicas with one scheme: their rows of W and of V, and the factor's row, if any."""

    rows: slice
    own: slice
    factor: int | None
    flips: bool


class FeedbackBank:
    """V of every replica of one model: `views` by replica and name, `values` [N, F], `factors` [K, F]."""

    def __init__(self, runs: Sequence[Run], model: Model, device: torch.device) -> None:
        seed, groups = runs[0].seed, adjacent(runs, lambda run: run.method.feedback)
        specs = dict.fromkeys(spec for spec, _ in groups)
        self._redrawn = [spec for spec in specs if spec.scheme == "brsf"]
        kinds = ([Feedback(scheme="brsf")] if self._redrawn else []) + [s for s in specs if _has_factor(s)]
        self._kinds = {spec: number for number, spec in enumerate(dict.fromkeys(kinds))}
        self.factors = torch.empty(len(self._kinds), model.feedback_size, device=device)
        self._streams = self._open_streams(seed, device)
        self._draw_fixed(seed, model)
        signed = [rows for spec, rows in groups if spec.scheme not in ("bp", "rndf")]
        count = sum(rows.stop - rows.start for rows in signed)
        self.values = torch.empty(count, model.feedback_size, device=device, dtype=model.dtype)
        self.views: list[dict[str, Tensor]] = []
        self._groups: list[_Group] = []
        slots: list[tuple[int, int]] = []  # of each replica: slot, and row of `values`
        for spec, rows in groups:
            slots += self._add(spec, rows, model, seed)
        self.slots, self.own_rows = torch.tensor(slots, dtype=torch.int32, device=device).T.contiguous()

    def _open_streams(self, seed: int, device: torch.device) -> dict[str, Uniform]:
        """Return the uniform streams for M, drawn into its factor's row, and for S_p if a scheme flips signs."""
        if not self._redrawn:
            return {}
        found = {"magnitudes": Uniform(seed, "magnitudes", self.factors[0])}
        if any(spec.flip_probability for spec in self._redrawn):
            found["flips"] = Uniform(seed, "flips", torch.empty_like(self.factors[0]))
        return found

    def _draw_fixed(self, seed: int, model: Model) -> None:
        """Fill the factors that stay. They are drawn on the CPU, so that every device has the same M and S_p."""
        for spec, number in self._kinds.items():
            if spec.scheme == "nusf":
                self.factors[number] = 1 / model.fan_in_row()
            elif spec.scheme == "frsf":
                magnitudes, flips = (
                    Uniform(seed, role, torch.empty(model.feedback_size)).next()
                    for role in ("magnitudes", "flips")
                )
                p = spec.flip_probability
                self.factors[number] = random_factor(magnitudes, flips, p) if p else magnitudes

    def _add(self, spec: Feedback, rows: slice, model: Model, seed: int) -> list[tuple[int, int]]:
        """Add adjacent replicas with one scheme, and return their slots and rows."""
        count = rows.stop - rows.start
        if spec.scheme in ("bp", "rndf"):
            views: dict[str, Tensor] = {}
            if spec.scheme == "rndf":
                fixed = model.random_feedback(seed, spec.sigma)
                views = model.feedback_views(fixed.to(self.values.device, model.dtype))
            self.views += [views] * count
            return [(NO_ROW, 0)] * count
        first = self._groups[-1].own.stop if self._groups else 0
        own, factor = slice(first, first + count), self._kinds.get(spec)
        self._groups.append(_Group(rows, own, factor, flips=spec.flip_probability > 0))
        self.views += [model.feedback_views(row) for row in self.values[own]]
        return [(SIGN_ALONE if factor is None else 2 + factor, row) for row in range(own.start, own.stop)]

    @property
    def generators(self) -> list[torch.Generator]:
        """Return the generators that `redraw` draws from."""
        return [stream.generator for stream in self._streams.values()]

    def begin_epoch(self, epoch: int) -> None:
        """Start the random streams of `epoch` (from 1), so that a resumed training draws the same."""
        for stream in self._streams.values():
            stream.begin(epoch)

    def redraw(self) -> None:
        """Draw the next M and S_p of brSF."""
        drawn = {role: stream.next() for role, stream in self._streams.items()}
        for spec in self._redrawn:
            if p := spec.flip_probability:
                random_factor(drawn["magnitudes"], drawn["flips"], p, out=self.factors[self._kinds[spec]])

    @torch.no_grad()
    def refresh(self, weights: Tensor) -> None:
        """Rewrite V from the weights [R, P] as products take them."""
        for group in self._groups:
            own = weights[group.rows, : self.values.shape[1]]
            factor = None if group.factor is None else self.factors[group.factor]
            write_signed(factor, own, self.values[group.own], flips=group.flips)


def _has_factor(feedback: Feedback) -> bool:
    return feedback.scheme in ("nusf", "brsf", "frsf")


def adjacent(runs: Sequence[Run], key: Callable[[Run], Any]) -> list[tuple[Any, slice]]:
    """Return (key, rows) of each stretch of adjacent runs with equal keys."""
    found = []
    for value, stretch in groupby(range(len(runs)), key=lambda i: key(runs[i])):
        rows = list(stretch)
        found.append((value, slice(rows[0], rows[-1] + 1)))
    return found
