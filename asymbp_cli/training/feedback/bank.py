"""The feedback weights V of a stack's replicas: a bank [N, F] with a row for each replica whose V follows its W.

Plain backpropagation needs no row, because its V is W. Feedback alignment needs none either: its V is drawn once,
and all replicas share it. If replicas are computed at once, all have rows. A learned V is in the bank of weights.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor

from asymbp_cli.specs.runs import Run
from asymbp_cli.training.feedback.forms import (
    Computed,
    Fixed,
    Form,
    Learned,
    Mirrored,
    SignConcordant,
    Transposed,
    write_form,
)
from asymbp_cli.training.feedback.schemes import build
from asymbp_cli.training.feedback.site import Site
from asymbp_cli.training.model import Model

#: of a replica, in `FeedbackBank.slots`: V = W; no row that `update` writes; V = sign(W); from 2 on:
#: V = factors[slot - 2] o sign(W)
WEIGHTS, NOT_WRITTEN, SIGN_ALONE = -1, 0, 1


class _Group(NamedTuple):
    """Adjacent replicas whose V follows from W: their rows of W and of V."""

    form: Form
    rows: slice
    own: slice


class FeedbackBank:
    """V of every replica of one model: `values` [N, F] of those with a row, `factors` [K, F] of signs.

    With `together` every replica has a row, in the order of the replicas. A learned V is a part of `working`
    [R, P], the weights as products take them.
    """

    def __init__(self, runs: Sequence[Run], model: Model, working: Tensor, *, together: bool) -> None:
        device = working.device
        self.together = together or bool(model.learned)
        groups = adjacent(runs, lambda run: run.method.feedback)
        specs = list(dict.fromkeys(spec for spec, _ in groups))
        most = 1 + sum(max(1, len(spec.layers)) for spec in specs)
        self.factors = torch.zeros(most, model.feedback_size, device=device)
        self._site = Site(model, runs[0].seed, self.factors)
        forms = {spec: build(spec, self._site) for spec in specs}
        #: adjacent replicas with one form of a learned V
        self.learned: list[tuple[Learned | Mirrored, slice]] = []
        if model.learned:
            self.values = working[:, model.learned_columns]
        else:
            count = sum(rows.stop - rows.start for spec, rows in groups if together or _has_row(forms[spec]))
            self.values = torch.zeros(count, model.feedback_size, device=device, dtype=model.dtype)
        self._rows: list[Tensor | None] = []  # [1, F] of each replica; None: V is W
        self._groups: list[_Group] = []
        self._free = 0
        slots: list[tuple[int, int]] = []  # of each replica: slot, and row of `values`
        for spec, rows in groups:
            slots += self._add(forms[spec], rows)
        self.slots, self.own_rows = torch.tensor(slots, dtype=torch.int32, device=device).T.contiguous()
        #: whether an update kernel writes any V
        self.follows_updates = any(slot != NOT_WRITTEN for slot, _ in slots)

    def _add(self, form: Form, rows: slice) -> list[tuple[int, int]]:
        """Add adjacent replicas with one form, and return their slots and rows."""
        count = rows.stop - rows.start
        if not (self.together or _has_row(form)):
            self._rows += [form.values[None] if isinstance(form, Fixed) else None] * count
            return [(NOT_WRITTEN, 0)] * count
        own = slice(self._free, self._free + count)
        self._free = own.stop
        match form:
            case Learned() | Mirrored():
                self.learned.append((form, rows))
            case Fixed(values):
                self.values[own] = values
            case _:
                self._groups.append(_Group(form, rows, own))
        self._rows += [self.values[row : row + 1] for row in range(own.start, own.stop)]
        return [(_slot(form), row) for row in range(own.start, own.stop)]

    def row(self, replica: int) -> Tensor | None:
        """Return V [1, F] of a replica; None if it is W."""
        return self._rows[replica]

    @property
    def generators(self) -> list[torch.Generator]:
        """Return the generators that `redraw` draws from."""
        return self._site.generators

    def begin_epoch(self, epoch: int) -> None:
        """Start the random streams of `epoch` (from 1), so that a resumed training draws the same."""
        self._site.begin_epoch(epoch)

    def redraw(self) -> None:
        """Draw the factors that are redrawn after every update."""
        self._site.redraw()

    @torch.no_grad()
    def refresh(self, weights: Tensor, *, signed: bool = True) -> None:
        """Rewrite V from the weights [R, P] as products take them; without `signed` only what schemes compute."""
        for form, rows, own in self._groups:
            if signed or isinstance(form, Computed):
                write_form(form, weights[rows, : self.values.shape[1]], self.values[own])


def _has_row(form: Form) -> bool:
    return isinstance(form, SignConcordant | Computed)


def _slot(form: Form) -> int:
    if isinstance(form, Transposed):
        return WEIGHTS
    if not isinstance(form, SignConcordant):
        return NOT_WRITTEN
    return 2 + form.factor.number if form.factor else SIGN_ALONE


def adjacent(runs: Sequence[Run], key: Callable[[Run], Any]) -> list[tuple[Any, slice]]:
    """Return (key, rows) of each stretch of adjacent runs with equal keys."""
    found = []
    for value, stretch in groupby(range(len(runs)), key=lambda i: key(runs[i])):
        rows = list(stretch)
        found.append((value, slice(rows[0], rows[-1] + 1)))
    return found
