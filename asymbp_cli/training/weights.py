"""The weights and feedback weights that are kept of each run, with names and layouts of a plain `nn.Sequential`.

Those of the best epoch stay in memory and go into checkpoints; files are written when a run ends.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.events import EpochEnded
from asymbp_cli.specs.modules import FEEDBACK, Module, WhichWeights, list_modules, write_network
from asymbp_cli.specs.networks import Normalize, Weighted
from asymbp_cli.specs.runs import Run
from asymbp_cli.training.bank import Bank
from asymbp_cli.training.evaluation import Averages, Evaluation
from asymbp_cli.training.model import Model
from asymbp_cli.training.resume import seal
from asymbp_cli.training.weight_files import FORMAT, pack, write_weights

_TYPES = {torch.float32: "F32", torch.int64: "I64"}


@dataclass(frozen=True)
class Kept:
    """The weights of a run after an epoch, by the names of a plain module, and how good they are.

    `which` says what they were kept as; none were kept before epoch `kept_from`.
    """

    which: WhichWeights
    kept_from: int
    epoch: int
    criterion: tuple[float, float]  # of the epoch, see `EpochEnded`
    test_wrong: int
    test_seen: int
    tensors: Mapping[str, Tensor]  # on the host; nobody changes them

    @property
    def facts(self) -> str:
        """Return everything but the tensors, as JSON."""
        return json.dumps(
            [self.which, self.kept_from, self.epoch, self.criterion, self.test_wrong, self.test_seen]
        )

    @classmethod
    def of_facts(cls, facts: str, tensors: Mapping[str, Tensor]) -> "Kept":
        """Return the kept weights that `facts` were made of; raises ValueError if they are none."""
        *kept_as, epoch, (error, loss), wrong, seen = json.loads(facts)
        name, kept_from = kept_as or ("best", 1)  # earlier checkpoints have none but the best
        which: WhichWeights = "last" if name == "last" else "best"
        return cls(which, kept_from, epoch, (error, loss), wrong, seen, tensors)


class WeightKeeper:
    """Told of every epoch of a stack once it has ended, keeps the weights that are asked for; by run id."""

    def __init__(
        self, which: WhichWeights, runs: tuple[Run, ...], bank: Bank, evaluation: Evaluation, data: ResidentData
    ) -> None:
        first = runs[0]
        self._which, self._bank, self._evaluation = which, bank, evaluation
        self._runs = {run.id: (replica, run) for replica, run in enumerate(runs)}
        self._modules = list_modules(first.network, first.protocol, first.method.batch_norm)
        self._inputs = describe_inputs(data)
        self._kept_from: dict[str, int] = {}  # by id, of runs whose weights were not kept from the start
        self.kept: dict[str, Kept] = {}

    def restore(self, run_id: str, saved: Kept | None, epoch: int) -> None:
        """Continue a run after `epoch` with what a checkpoint has kept, if that is what is asked for now."""
        if saved and saved.which == self._which:
            self.kept[run_id] = saved
            self._kept_from[run_id] = saved.kept_from
        else:
            self._kept_from[run_id] = epoch + 1

    def note(self, epoch: EpochEnded) -> None:
        """Keep the weights of a run if this epoch is the one to keep, so far.

        Of equal epochs the first one is kept, as in tables. A diverged run has no weights that give its error.
        """
        replica, run = self._runs[epoch.run]
        if self._which == "last":
            is_wanted = epoch.epoch == run.protocol.epochs
        else:
            is_wanted = epoch.run not in self.kept or epoch.criterion < self.kept[epoch.run].criterion
        if not epoch.diverged and is_wanted:
            row = self._bank.weights[replica : replica + 1].detach().to("cpu", copy=True)
            averages = {
                layer: (mean.to("cpu", copy=True), deviation.to("cpu", copy=True))
                for layer, (mean, deviation) in self._evaluation.averages(replica).items()
            }
            feedback = self._bank.feedback(replica) if self._has_feedback(run) else {}
            tensors = self._inputs | make_plain(self._modules, self._bank.model, row, averages, feedback)
            self.kept[epoch.run] = Kept(
                self._which,
                self._kept_from.get(epoch.run, 1),
                epoch.epoch,
                epoch.criterion,
                epoch.test_wrong,
                epoch.test_seen,
                tensors,
            )

    def _has_feedback(self, run: Run) -> bool:
        """Return whether errors go through a V other than W."""
        return self._bank.has_feedback and run.method.feedback.scheme != "bp"

    def write(self, directory: Path) -> None:
        """Write the files of all runs, each whole or not at all. Raises StoreError if that fails."""
        for run_id, kept in self.kept.items():
            run = self._runs[run_id][1]
            if kept.which == "last" and kept.epoch != run.protocol.epochs:
                continue
            facts = {
                "format": FORMAT,
                "run": run_id,
                "kept": kept.which,
                "kept_from": str(kept.kept_from),
                "epoch": str(kept.epoch),
                "test_wrong": str(kept.test_wrong),
                "test_seen": str(kept.test_seen),
                "network": write_network(self._modules),
                "spec": run.model_dump_json(),
            }
            packed = {name: _dump(tensor) for name, tensor in kept.tensors.items()}
            write_weights(directory, run_id, seal(partial(pack, packed), facts))


def _dump(tensor: Tensor) -> tuple[str, tuple[int, ...], bytes]:
    return _TYPES[tensor.dtype], tuple(tensor.shape), tensor.contiguous().numpy().tobytes()


def make_plain(
    modules: tuple[Module, ...], model: Model, row: Tensor, averages: Averages, feedback: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the tensors of a `Sequential` of `modules` from a row [1, P] of parameters, and V by module.

    `feedback` holds V [1, ...] by the names of its layers, on any device and in any type.
    `eval` normalizes by running_mean and running_var with the epsilon of training: the variance is the square of
    the averaged deviation (section 3; `layers.normalize`).
    """
    views = {name: part[0] for name, part in model.views(row).items()}
    tensors: dict[str, Tensor] = {}
    for place, module in enumerate(modules):
        match module.operation:
            case Weighted(number, _, before):
                name = f"{number}.weight"
                tensors[f"{place}.weight"] = _order_inputs(views[name], before)
                if name in feedback:
                    tensors[f"{FEEDBACK}{place}.weight"] = _order_inputs(
                        feedback[name][0].detach().float().cpu(), before
                    )
                if f"{number}.bias" in views:
                    tensors[f"{place}.bias"] = views[f"{number}.bias"]
            case Normalize(number):
                if f"{number}.scale" in views:
                    tensors[f"{place}.weight"] = views[f"{number}.scale"]
                    tensors[f"{place}.bias"] = views[f"{number}.shift"]
                mean, deviation = averages[number]
                tensors[f"{place}.running_mean"], tensors[f"{place}.running_var"] = mean, deviation.square()
                tensors[f"{place}.num_batches_tracked"] = torch.tensor(model.protocol.batch_norm_batches)
    return {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}


def _order_inputs(weight: Tensor, before: tuple[int, ...]) -> Tensor:
    """Return weights whose inputs are in PyTorch's order: ours are those of an image by height, width, channel."""
    if weight.ndim == 2 and len(before) == 3:
        return weight.view(-1, *before).permute(0, 3, 1, 2).flatten(1)
    return weight


def describe_inputs(data: ResidentData) -> dict[str, Tensor]:
    """Return mean and scale of raw images [N, C, H, W] or vectors [N, D]: (x - mean) * scale."""
    is_image = len(data.info.shape) == 3
    found = {"input.mean": data.mean.cpu(), "input.scale": data.inverse_std.cpu()}
    if not is_image:
        return found
    return {
        name: (part if part.ndim == 3 else part.view(1, 1, -1)).permute(2, 0, 1).contiguous()
        for name, part in found.items()
    }
