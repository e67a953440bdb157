"""One training step of a stack: forward, error through V, gradients, update; and its sums over an epoch.

Replicas are computed in blocks: on CUDA the whole stack, elsewhere each alone. Elementwise work and counts are
done for the whole stack at once. Nothing is read on the host: losses and errors are summed on the device.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.training.augmentation import Augmentation
from asymbp_cli.training.bank import Bank
from asymbp_cli.training.blocks import Block, make_blocks
from asymbp_cli.training.cuda_graphs import Captured, Graphs
from asymbp_cli.training.feedback.mirror import Mirror
from asymbp_cli.training.layers import batch_norm
from asymbp_cli.training.losses import LOSSES
from asymbp_cli.training.model import Model, Watch
from asymbp_cli.training.update import update


class TrainingStep:
    """Trains the replicas in `replicas` on one mini-batch a call.

    Over the epoch's calls, by replica: `loss` [R] the summed loss, `wrong` [R] the wrong answers,
    both before the updates; `seen` counts samples.
    """

    def __init__(
        self,
        model: Model,
        bank: Bank,
        data: ResidentData,
        augmentation: Augmentation,
        graphs: Graphs | None = None,
    ) -> None:
        self._model, self._bank, self._data, self._augmentation = model, bank, data, augmentation
        self.captured = Captured(graphs)
        device, count = bank.alive.device, len(bank.alive)
        self.replicas: tuple[int, ...] = ()
        self._rows = torch.empty(0, dtype=torch.int64, device=device)  # the replicas, on the device
        self.blocks: list[Block] = []  # of the replicas, in their order
        self.loss = torch.zeros(count, dtype=sum_type(device), device=device)
        self.wrong = torch.zeros(count, dtype=torch.int64, device=device)
        self.seen = 0
        self._loss = LOSSES[model.protocol.loss]
        self._finite = torch.zeros(count, dtype=torch.bool, device=device)
        mirrors = model.learns_by == "mirror" and model.learned and bank.has_feedback
        self._mirror = Mirror(bank) if mirrors else None

    def begin_epoch(self, replicas: Sequence[int]) -> None:
        """Start the sums of an epoch in which `replicas` train."""
        if tuple(replicas) != self.replicas:
            self.replicas = tuple(replicas)
            self._rows = torch.tensor(self.replicas, dtype=torch.int64, device=self.loss.device)
            self.captured.forget()
            self.blocks = []  # gives its memory back first
            self.blocks = make_blocks(self._bank, self.replicas, training=True)
        self.loss.zero_()
        self.wrong.zero_()
        self._finite.zero_()
        self.seen = 0

    def __call__(self, index: Tensor) -> None:
        """Train on the samples in `index` [B]."""
        self.captured(self._compute, index)
        self.seen += len(index)

    def take(self, batches: Iterable[Tensor]) -> Iterator[int]:
        """Train on one mini-batch after the other; yield how many are done, after each."""
        for number, index in enumerate(batches, start=1):
            self(index)
            yield number

    def _compute(self, index: Tensor) -> None:
        x, y = self._data.batch(self._data.train, index, self._augmentation)
        x = x.to(self._model.dtype)
        toward = self._toward(y)
        logits, losses, _ = zip(*(self._block(block, x, y, toward) for block in self.blocks), strict=True)
        self._count(torch.cat(logits), torch.cat(losses), y)
        if self._model.protocol.bias_gradient != 1:
            self._bank.bias_gradients.mul_(self._model.protocol.bias_gradient)
        update(self._bank, self._finite)
        if self._mirror:
            self._mirror(self.blocks)

    def probe(self, block: Block, index: Tensor, *, exact: bool = False, watch: Watch | None = None) -> Tensor:
        """Collect the gradients of a block on the samples in `index` [B], and change nothing else.

        Returns the error of the logits [B, R' * classes]. If `exact`, errors go through W. `watch` sees the output
        of each weighted layer.
        """
        x, y = self._data.batch(self._data.train, index)
        *_, error = self._block(block, x.to(self._model.dtype), y, self._toward(y), exact=exact, watch=watch)
        return error

    @property
    def mirror_passes(self) -> int:
        """Return how many epochs of mirroring its scheme asks for before the first epoch."""
        return self._mirror.passes if self._mirror else 0

    def mirror_first(self, steps: int) -> Iterator[int]:
        """Mirror the initial weights into V for so many mini-batches; yield how many are done, after each."""
        assert self._mirror
        self._bank.feedback_bank.begin_epoch(0)
        for number in range(1, steps + 1):
            self._bank.redraw()
            self._mirror(self.blocks)
            yield number

    def _toward(self, y: Tensor) -> Tensor:
        """Return minus the weight of each sample at its label, 0 elsewhere [B, classes], the same for all."""
        scale = 1.0 if self._model.protocol.gradient == "sum" else 1 / len(y)
        return torch.zeros(len(y), self._model.classes, device=y.device).scatter_(1, y[:, None], -scale)

    def _block(
        self,
        block: Block,
        x: Tensor,
        y: Tensor,
        toward: Tensor,
        *,
        exact: bool = False,
        watch: Watch | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Collect the gradients of a block.

        Returns its logits [R', B, classes], its losses [R'] and the error of the logits [B, R' * classes].
        """
        block.fetch()
        inputs: dict[int, Tensor] = {}
        cut = None if exact or self._model.route == "layerwise" else inputs
        feedback = {} if exact else block.feedback
        logits = self._model.forward(x, block.parameters, feedback, self._normalize, cut, watch)
        with torch.no_grad():
            plain = logits.detach().float().view(len(y), block.size, -1)  # [B, R', classes]
            losses, error = self._loss.pass_back(plain, y, self._model.protocol.gradient, toward)
            sent = self._send(error, toward)
            parts = [part.flatten(1).to(logits.dtype) for part in ([error] if sent is error else [error, sent])]
        block.collect(logits, parts[0], parts[-1], inputs)
        return plain.transpose(0, 1), losses, parts[0]

    def _send(self, error: Tensor, toward: Tensor) -> Tensor:
        """Return the signal that the output sends to the layers [B, R', classes]; averaged if errors are."""
        match self._model.route:
            case "direct-sign":
                return torch.sign(error) * -toward.sum(1)[:, None, None]
            case "direct-target":
                return -toward[:, None].expand_as(error)
            case _:
                return error

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
