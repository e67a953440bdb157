"""What a step computes at once: on CUDA all replicas of a stack in training, elsewhere each of them alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from asymbp_cli.training.bank import Bank


def make_blocks(bank: Bank, replicas: Sequence[int], *, training: bool) -> list["Block"]:
    """Return the blocks of `replicas`, in their order; only in `training` they need V and room for gradients."""
    if bank.together and replicas:
        if not _are_adjacent(replicas):
            return [Scattered(bank, replicas, training=training)]
        return [Adjacent(bank, replicas)]
    return [Adjacent(bank, [replica]) for replica in replicas]


class Block:
    """Replicas that are computed at once: their weights and feedback weights by name, [R', ...]."""

    def __init__(self, bank: Bank, weights: Tensor, values: Tensor | None, gradients: Tensor | None) -> None:
        self.size = len(weights)
        self.parameters = bank.model.views(weights)
        self.feedback = {} if values is None else bank.model.feedback_views(values)
        self._parts = bank.trained
        self._trained = [self.parameters[part.name].requires_grad_() for part in self._parts]
        self._targets = [] if gradients is None else [part.columns(gradients) for part in self._parts]

    def fetch(self) -> None:
        """Make the present weights those of the block."""

    def collect(self, logits: Tensor, error: Tensor) -> None:
        """Store the gradients of the trained weights, from logits [B, R' * classes] and their `error`."""
        found = torch.autograd.grad(logits, self._trained, grad_outputs=error)
        flat = [part.flat(gradient) for part, gradient in zip(self._parts, found, strict=True)]
        torch._foreach_copy_(self._targets, flat)


class Adjacent(Block):
    """Replicas whose rows follow each other in the bank: the block has views of them."""

    def __init__(self, bank: Bank, replicas: Sequence[int]) -> None:
        rows = slice(replicas[0], replicas[-1] + 1)
        v = bank.feedback_bank
        values = v.values[rows] if v.together else v.row(replicas[0])
        super().__init__(bank, bank.working[rows], values, bank.gradients[rows])


class Scattered(Block):
    """Replicas between which others have diverged: the block has copies of their rows."""

    def __init__(self, bank: Bank, replicas: Sequence[int], *, training: bool) -> None:
        self._rows = torch.tensor(replicas, device=bank.alive.device)
        self._weights = (bank.working, _make_rows(bank.working, len(replicas)))
        values, gradients = bank.feedback_bank.values, bank.gradients
        self._values = (
            (values, _make_rows(values, len(replicas))) if training and bank.feedback_bank.together else None
        )
        self._gradients = (gradients, _make_rows(gradients, len(replicas))) if training else None
        super().__init__(bank, self._weights[1], *(pair and pair[1] for pair in (self._values, self._gradients)))

    @torch.no_grad()
    def fetch(self) -> None:
        """Copy the present weights and feedback weights."""
        for pair in (self._weights, self._values):
            if pair:
                torch.index_select(pair[0], 0, self._rows, out=pair[1])

    def collect(self, logits: Tensor, error: Tensor) -> None:
        """Store the gradients of the trained weights, from logits [B, R' * classes] and their `error`."""
        super().collect(logits, error)
        assert self._gradients is not None
        self._gradients[0].index_copy_(0, self._rows, self._gradients[1])


def _make_rows(source: Tensor, count: int) -> Tensor:
    return torch.zeros(count, source.shape[1], dtype=source.dtype, device=source.device)


def _are_adjacent(replicas: Sequence[int]) -> bool:
    return list(replicas) == list(range(replicas[0], replicas[-1] + 1))
