"""The parameters of a stack as flat banks [R, P], a row per replica: weights, gradients, optimizer state and V."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import torch
from torch import Tensor

from asymbp_cli.specs.methods import UPDATES
from asymbp_cli.specs.runs import Run
from asymbp_cli.training.feedback.bank import FeedbackBank, adjacent
from asymbp_cli.training.feedback.forms import Learned
from asymbp_cli.training.kernels import find_kernels
from asymbp_cli.training.model import Model, Parameter
from asymbp_cli.training.optim import RULES, SETTINGS


@dataclass(frozen=True)
class Segment:
    """Columns that an update treats alike.

    They decay, Batch Manhattan takes their signs, and errors depend on them, or not: then a number in them that is
    not finite freezes no replica.
    """

    columns: slice
    decays: bool
    signs: bool
    used: bool = True


class Bank:
    """Weights, optimizer state, gradients and feedback weights of R replicas of one model.

    With `together` they are computed at once (`blocks.py`), by default if a device has kernels for it. Else they
    are computed one after the other.
    """

    def __init__(
        self, runs: Sequence[Run], model: Model, device: torch.device, *, together: bool | None = None
    ) -> None:
        self.together = find_kernels("products", device) is not None if together is None else together
        self.model, self.protocol, self.seed = model, runs[0].protocol, runs[0].seed
        start = model.initial_row(self.seed).to(device)
        self.weights = start.repeat(len(runs), 1)  # [R, P]
        self.working = self.weights if model.dtype == torch.float32 else self.weights.to(model.dtype)
        states = max(UPDATES[run.method.update].states for run in runs)
        self.state = self.weights.new_zeros(len(runs), states, model.row_size)  # tau or kappa of section 3
        self.steps = torch.zeros((), device=device)  # updates since `state` was 0, for Adam
        self.gradients = torch.zeros_like(self.weights)
        self._multipliers = torch.tensor([[run.rate_multiplier] for run in runs], device=device)  # [R, 1]
        self.rates = torch.zeros_like(self._multipliers)  # [R, 1] learning rates of the present epoch
        self.alive = torch.ones(len(runs), dtype=torch.bool, device=device)
        self.may_read = False  # values in a step: on the CPU, if nothing is captured
        self.weight_decay = self.protocol.weight_decay  # of the present epoch
        self.decay = {  # on the device already: a number would be copied there in every step
            True: torch.tensor(self.protocol.weight_decay, device=device),
            False: torch.tensor(0.0, device=device),
        }
        self.updates = adjacent(runs, lambda run: run.method.update)
        self.trains_by_adam = any(setting == "adam" for setting, _ in self.updates)
        #: whether a rule is a plugin's, which no kernel has
        self.has_own_rules = any(setting in RULES for setting, _ in self.updates)
        rules = [run.method.update for run in runs]
        numbers = [SETTINGS.index(rule) if rule in SETTINGS else 0 for rule in rules]
        self.settings = torch.tensor(numbers, device=device)
        self._train = runs[0].method.train
        self.segments = self._lay_segments()
        self.trained = tuple(part for part in model.parameters if self._trains(part.layer))
        self.feedback_bank = FeedbackBank(runs, model, self.working, together=self.together and self.has_feedback)
        for form, rows in self.feedback_bank.learned:
            self.weights[rows, model.learned_columns] = form.start.to(device)
        self.intact = torch.ones_like(self.alive)  # False once an update was not finite; kept by the fused kernel

    def _trains(self, layer: int) -> bool:
        return self._train == "all" or (layer == self.model.last) == (self._train == "top")

    def _lay_segments(self) -> tuple[Segment, ...]:
        """Return the trained columns, adjacent ones with the same treatment merged."""
        parts = (*self.model.parameters, *self.model.learned)
        edges = [*(part.start for part in parts), self.model.row_size]
        trained = [(span, self._treat(part)) for part, span in zip(parts, pairwise(edges), strict=True)]
        merged = []
        for flags, spans in groupby(trained, key=lambda pair: pair[1]):
            bounds = [edge for span, _ in spans for edge in span]
            if flags is not None:
                merged.append(Segment(slice(bounds[0], bounds[-1]), *flags))
        return tuple(merged)

    def _treat(self, part: Parameter) -> tuple[bool, bool, bool] | None:
        """Return whether a part decays, has its signs taken, and is used by errors; None if it is not trained."""
        p, kind = self.protocol, part.kind
        if not self._trains(part.layer):
            return None
        if kind == "feedback":
            learns = self.model.learns_by == "gradient" and self.has_feedback
            return (True, True, part.layer != self.model.first) if learns else None
        decays = {"bias": p.decay_biases, "scale": p.decay_batch_norm, "shift": p.decay_batch_norm}
        return decays.get(kind, True), kind != "bias" or p.manhattan_biases, True

    @property
    def generators(self) -> list[torch.Generator]:
        """Return the generators that a step draws from."""
        return self.feedback_bank.generators

    def begin_epoch(self, epoch: int, rate: float) -> None:
        """Start the random streams of `epoch` (from 1), and compute its first V.

        `rate` is the learning rate at multiplier 1.
        """
        torch.mul(self._multipliers, rate, out=self.rates)
        self.use_weights()
        self.feedback_bank.begin_epoch(epoch)
        self.redraw()
        self.refresh_feedback()

    @property
    def bias_gradients(self) -> Tensor:
        """Return the gradients of biases [R, ...], whose columns are contiguous."""
        biases = [part for part in self.model.parameters if part.kind == "bias"]
        columns = slice(biases[0].start, biases[-1].start + biases[-1].size) if biases else slice(0)
        return self.gradients[:, columns]

    def forget(self) -> None:
        """Let the optimizer start anew."""
        self.state.zero_()
        self.steps.zero_()

    def clip_gradients(self) -> None:
        """Scale each replica's gradient down to the protocol's largest L2 norm, that of a learned V with it.

        A replica whose norm is not finite counts as diverged.
        Source: Pascanu, Mikolov and Bengio 2013, algorithm 1.
        """
        of_weights = self.gradients[:, : self.model.learned_columns.start]
        trained = [of_weights[:, part.columns] for part in self.segments]
        # halves, since torch splits a sum among threads if it is the only one: its bits would differ
        halves = [torch.linalg.vector_norm(part.view(len(part), 2, -1), dim=2) for part in trained if part.numel()]
        norm = torch.linalg.vector_norm(torch.cat(halves, 1), dim=1, keepdim=True)
        factor = (self.protocol.gradient_clip / norm).clamp(max=1)
        factor = torch.where(norm.isfinite(), factor, math.nan)
        for part in self.segments:
            self.gradients[:, part.columns] *= factor

    def change_decay(self, decay: float) -> bool:
        """Let weights decay by `decay` from now on; return whether they decayed by another number before."""
        changes, self.weight_decay = decay != self.weight_decay, decay
        self.decay[True].fill_(decay)
        return changes

    @property
    def has_feedback(self) -> bool:
        """Return whether any error passes below the last layer."""
        return self._train != "top"

    def redraw(self) -> None:
        """Draw new M and S for the schemes that redraw them."""
        if self.has_feedback:
            self.feedback_bank.redraw()

    def learn_feedback(self) -> None:
        """Fill the gradients of a learned V from those of W, if its scheme has such a rule."""
        of_w = self.gradients[:, : self.model.feedback_size]
        of_v = self.gradients[:, self.model.learned_columns]
        for form, rows in self.feedback_bank.learned if self.has_feedback else []:
            if isinstance(form, Learned) and form.learn is not None:
                form.learn(of_w[rows], of_v[rows])

    def refresh_feedback(self, *, signed: bool = True) -> None:
        """Recompute V of every replica from its present weights; without `signed` only what schemes compute."""
        if self.has_feedback:
            self.feedback_bank.refresh(self.working, signed=signed)

    @torch.no_grad()
    def use_weights(self) -> None:
        """Copy the weights into the type of products (nothing to do in fp32)."""
        if self.working is not self.weights:
            self.working.copy_(self.weights)

    def parameters(self, replica: int) -> dict[str, Tensor]:
        """Return the named weights of a replica [1, ...] as products take them: views that follow updates."""
        return self.model.views(self.working[replica : replica + 1])

    def feedback(self, replica: int) -> dict[str, Tensor]:
        """Return the named feedback weights of a replica [1, ...]; empty if V is W."""
        row = self.feedback_bank.row(replica)
        return {} if row is None else self.model.feedback_views(row)
