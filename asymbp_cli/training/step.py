"""One training step of a stack: forward, error through V, gradients, update; and its sums over an epoch.

Written for one replica in ordinary shapes. Elementwise work and counts are done for the whole stack at once.
Nothing is read on the host: losses and errors are summed on the device.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.training.bank import Bank
from asymbp_cli.training.cuda_graphs import Captured, Graphs, SideStreams
from asymbp_cli.training.layers import batch_norm
from asymbp_cli.training.model import Model
from asymbp_cli.training.update import update


class TrainingStep:
    """Trains the replicas in `replicas` on one mini-batch a call.

    Over the epoch's calls, by replica: `loss` [R] the summed cross-entropy in nats, `wrong` [R] the wrong answers,
    both before the updates; `seen` counts samples.
    """

    def __init__(
        self, model: Model, bank: Bank, data: ResidentData, side: SideStreams, graphs: Graphs | None = None
    ) -> None:
        self._model, self._bank, self._data, self._side = model, bank, data, side
        self.captured = Captured(graphs)
        device, count = bank.alive.device, len(bank.alive)
        self.replicas: tuple[int, ...] = ()
        self._rows = torch.empty(0, dtype=torch.int64, device=device)  # the replicas, on the device
        self.loss = torch.zeros(count, dtype=sum_type(device), device=device)
        self.wrong = torch.zeros(count, dtype=torch.int64, device=device)
        self.seen = 0
        self._finite = torch.zeros(count, dtype=torch.bool, device=device)

    def begin_epoch(self, replicas: Sequence[int]) -> None:
        """Start the sums of an epoch in which `replicas` train."""
        if tuple(replicas) != self.replicas:
            self.replicas = tuple(replicas)
            self._rows = torch.tensor(self.replicas, dtype=torch.int64, device=self.loss.device)
            self.captured.forget()
        self.loss.zero_()
        self.wrong.zero_()
        self._finite.zero_()
        self.seen = 0

    def __call__(self, index: Tensor) -> None:
        """Train on the samples in `index` [B]."""
        self.captured(self._compute, index)
        self.seen += len(index)

    def _compute(self, index: Tensor) -> None:
        x, y = self._data.batch(self._data.train, index)
        x = x.to(self._model.dtype)
        toward = self._toward(y)
        found = []
        for replica in self.replicas:
            with self._side.branch(replica):
                found.append(self._replica(replica, x, y, toward))
        self._side.join()
        logits, losses = map(torch.stack, zip(*found, strict=True))
        self._count(logits, losses, y)
        update(self._bank, self._finite)

    def _toward(self, y: Tensor) -> Tensor:
        """Return the gradient of the cross-entropy by the log-probabilities [B, classes], the same for all."""
        scale = 1.0 if self._model.protocol.gradient == "sum" else 1 / len(y)
        return torch.zeros(len(y), self._model.classes, device=y.device).scatter_(1, y[:, None], -scale)

    def _replica(self, replica: int, x: Tensor, y: Tensor, toward: Tensor) -> tuple[Tensor, Tensor]:
        """Collect a replica's gradients; return its logits [B, classes] and its loss."""
        bank = self._bank
        logits = self._model.forward(x, bank.parameters(replica), bank.feedback(replica), self._normalize)
        with torch.no_grad():
            plain = logits.detach().float()
            log_p = F.log_softmax(plain, 1)
            loss = F.nll_loss(log_p, y, reduction=self._model.protocol.gradient)
            error: Tensor = torch.ops.aten._log_softmax_backward_data(toward, log_p, 1, torch.float32)
        bank.collect(replica, logits, error.to(logits.dtype))
        return plain, loss

    @torch.no_grad()
    def _count(self, logits: Tensor, losses: Tensor, y: Tensor) -> None:
        """Add to the epoch's sums what the replicas in training answered: logits [R', B, classes], losses [R']."""
        summed = losses if self._model.protocol.gradient == "sum" else losses * len(y)
        self.loss.index_add_(0, self._rows, summed.to(self.loss.dtype))
        self.wrong.index_add_(0, self._rows, (logits.argmax(2) != y).sum(1))
        self._finite.index_copy_(0, self._rows, losses.isfinite())

    def _normalize(self, layer: int, x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
        return batch_norm(x, scale, shift, epsilon=self._model.protocol.batch_norm_epsilon)


def sum_type(device: torch.device) -> torch.dtype:
    """Return the widest type that a device sums in."""
    return torch.float32 if device.type == "mps" else torch.float64
