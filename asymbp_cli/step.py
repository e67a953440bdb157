"""One training step of a stack: forward, error through V, gradients, update; and its sums over an epoch.

Written for one replica in ordinary shapes; elementwise work is done for the whole bank at once. Nothing is read
on the host: losses and errors are summed on the device.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from asymbp_cli.bank import Bank
from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.layers import batch_norm
from asymbp_cli.model import Model
from asymbp_cli.program import Branches, Program, Record


class TrainingStep:
    """Trains the replicas in `replicas` on one mini-batch a call.

    Over the epoch's calls, by replica: `loss` [R] the summed cross-entropy in nats, `wrong` [R] the wrong answers,
    both before the updates; `seen` counts samples.
    """

    def __init__(
        self, model: Model, bank: Bank, data: ResidentData, branches: Branches, record: Record | None = None
    ) -> None:
        self._model, self._bank, self._data, self._branches = model, bank, data, branches
        self._program = Program(record)
        device, count = bank.alive.device, len(bank.alive)
        self.replicas: tuple[int, ...] = ()
        self.loss = torch.zeros(count, dtype=sum_type(device), device=device)
        self.wrong = torch.zeros(count, dtype=torch.int64, device=device)
        self.seen = 0
        self._finite = torch.zeros(count, dtype=torch.bool, device=device)

    def begin_epoch(self, replicas: Sequence[int]) -> None:
        """Start the sums of an epoch in which `replicas` train."""
        if tuple(replicas) != self.replicas:
            self.replicas = tuple(replicas)
            self._program.forget()
        self.loss.zero_()
        self.wrong.zero_()
        self._finite.zero_()
        self.seen = 0

    def __call__(self, index: Tensor) -> None:
        """Train on the samples in `index` [B]."""
        self._program(self._compute, index)
        self.seen += len(index)

    def _compute(self, index: Tensor) -> None:
        x, y = self._data.batch(self._data.train, index)
        x = x.to(self._model.dtype)
        self._bank.refresh_feedback()
        for replica in self.replicas:
            with self._branches.branch(replica):
                self._replica(replica, x, y)
        self._branches.join()
        self._bank.update(self._finite)

    def _replica(self, replica: int, x: Tensor, y: Tensor) -> None:
        bank, gradient = self._bank, self._model.protocol.gradient
        logits = self._model.forward(x, bank.parameters(replica), bank.feedback(replica), self._normalize)
        loss = F.cross_entropy(logits.float(), y, reduction=gradient)
        bank.collect(replica, loss)
        with torch.no_grad():
            self.loss[replica].add_(loss if gradient == "sum" else loss * len(y))
            self.wrong[replica].add_((logits.argmax(1) != y).sum())
            self._finite[replica].copy_(loss.isfinite())

    def _normalize(self, layer: int, x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
        return batch_norm(x, scale, shift, epsilon=self._model.protocol.batch_norm_epsilon)


def sum_type(device: torch.device) -> torch.dtype:
    """Return the widest type that a device sums in."""
    return torch.float32 if device.type == "mps" else torch.float64
