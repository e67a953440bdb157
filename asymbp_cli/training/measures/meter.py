"""Makes the measures of a stack after an epoch. Changes nothing that a training depends on, and draws nothing."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from asymbp_cli.events import Measured
from asymbp_cli.specs.runs import Run
from asymbp_cli.training.bank import Bank
from asymbp_cli.training.blocks import Block
from asymbp_cli.training.measures.signals import (
    Found,
    measure_gradient_angles,
    measure_growth,
    measure_ranks,
)
from asymbp_cli.training.measures.weights import OWN, compare_weights
from asymbp_cli.training.step import TrainingStep, sum_type

MOST_SAMPLES = 128  # of the fixed mini-batch

#: measure on request -> how a block's is made on a mini-batch
ON_A_BATCH: dict[str, Callable[[TrainingStep, Bank, Block, Tensor], Found]] = {
    "gradient-angle": measure_gradient_angles,
    "rank": measure_ranks,
    "growth": measure_growth,
}


#: what is made of V and W, and tells nothing if they are the same
OF_FEEDBACK = ("angle", "agreement", "norm-ratio")


class Meter:
    """Measures the replicas of a stack that an epoch has trained.

    V is not compared with W in plain backpropagation, where they are the same, nor if it carries errors from the
    output, since then it has another shape. The fixed mini-batch, whose indices [B] `first_batch` returns, is that
    of the first step, up to 128 samples.
    """

    def __init__(
        self, runs: Sequence[Run], bank: Bank, step: TrainingStep, first_batch: Callable[[], Tensor]
    ) -> None:
        self._plain = [run.method.feedback.scheme == "bp" for run in runs]
        self._bank, self._step = bank, step
        self._own = [key for key in bank.protocol.measure if key in OWN]
        self._wanted = [key for key in ON_A_BATCH if key in bank.protocol.measure]
        self._index = first_batch()[:MOST_SAMPLES].clone() if self._wanted else torch.empty(0)
        route = bank.model.route
        self._fed = bank.model.fed if route == "layerwise" and bank.has_feedback else ()
        self._try_out()

    @torch.no_grad()
    def _try_out(self) -> None:
        """Make the measures of plugins once, of W alone, so that a faulty one fails before anything is trained."""
        for part in self._fed:
            W = part.view(self._bank.working[:1]).float()
            for key in self._own:
                OWN[key](W, W)

    def __call__(self) -> dict[int, Measured]:
        """Return the measures of each replica; one that has diverged has some too."""
        found: dict[int, Measured] = {}
        replicas = iter(self._step.replicas)
        for block in self._step.blocks:
            block.fetch()
            places, values = self._measure(block)
            for row in torch.stack(values, 1).tolist() if values else [[]] * block.size:
                replica = next(replicas)
                found[replica] = _arrange(places, row, plain=self._plain[replica])
        return found

    def _measure(self, block: Block) -> tuple[list[tuple[str, int]], list[Tensor]]:
        """Return (measure, layer) of each value of the replicas of a block, and the values, each [R']."""
        places: list[tuple[str, int]] = []
        values: list[Tensor] = []
        with torch.no_grad():
            for part in self._fed if block.feedback else ():
                found = compare_weights(block.parameters[part.name], block.feedback[part.name])
                places += [(key, part.layer) for key in found]
                values += found.values()
            for part in self._fed if self._own else ():
                W = block.parameters[part.name]
                V = block.feedback.get(part.name, W)
                places += [(key, part.layer) for key in self._own]
                values += [OWN[key](W.float(), V.float()).to(sum_type(W.device)) for key in self._own]
        for key in self._wanted:
            for layer, value in ON_A_BATCH[key](self._step, self._bank, block, self._index):
                places.append((key, layer))
                values.append(value.double() if value.device.type != "mps" else value)
        return places, values


def _arrange(places: Sequence[tuple[str, int]], values: Sequence[float], *, plain: bool) -> Measured:
    """Return values by measure and layer, to six digits; None for what is not a number.

    Of `plain` backpropagation without those of V.
    """
    arranged: dict[str, dict[int, float | None]] = {}
    for (key, layer), value in sorted(zip(places, values, strict=True), key=lambda pair: pair[0][1]):
        if plain and key in OF_FEEDBACK:
            continue
        arranged.setdefault(key, {})[layer] = float(f"{value:.6g}") if math.isfinite(value) else None
    return arranged
