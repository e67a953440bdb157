"""What a step computes at once: on CUDA all replicas of a stack in training, elsewhere each of them alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from asymbp_cli.training.bank import Bank


def make_blocks(bank: Bank, replicas: Sequence[int]) -> list["Block"]:
    """Return the blocks of `replicas`, in their order."""
    if bank.together and replicas:
        return [Adjacent(bank, replicas) if _are_adjacent(replicas) else Scattered(bank, replicas)]
    return [Adjacent(bank, [replica]) for replica in replicas]


class Block:
    """Replicas that are computed at once: their weights and feedback weights by name, [R', ...]."""

    def __init__(self, bank: Bank, weights: Tensor, values: Tensor | None, gradients: Tensor) -> None:
        self.size = len(weights)
        self.parameters = bank.model.views(weights)
        self.feedback = {} if values is None else bank.model.feedback_views(values)
        self._parts = bank.trained
        self._trained = [self.parameters[part.name].requires_grad_() for part in self._parts]
        self._targets = [part.columns(gradients) for part in self._parts]

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
        values = bank.feedback_bank.values[rows] if bank.together else bank.feedback_bank.row(replicas[0])
        super().__init__(bank, bank.working[rows], values, bank.gradients[rows])


class Scattered(Block):
    """Replicas between which others have diverged: the block has copies of their rows."""

    def __init__(self, bank: Bank, replicas: Sequence[int]) -> None:
        self._bank, self._rows = bank, torch.tensor(replicas, device=bank.alive.device)
        self._copies = [
            torch.zeros(len(replicas), source.shape[1], dtype=source.dtype, device=source.device)
            for source in (bank.working, bank.feedback_bank.values, bank.gradients)
        ]
        super().__init__(bank, *self._copies)

    @torch.no_grad()
    def fetch(self) -> None:
        """Copy the present weights and feedback weights."""
        for source, copy in zip((self._bank.working, self._bank.feedback_bank.values), self._copies, strict=False):
            torch.index_select(source, 0, self._rows, out=copy)

    def collect(self, logits: Tensor, error: Tensor) -> None:
        """Store the gradients of the trained weights, from logits [B, R' * classes] and their `error`."""
        super().collect(logits, error)
        self._bank.gradients.index_copy_(0, self._rows, self._copies[2])


def _are_adjacent(replicas: Sequence[int]) -> bool:
    return list(replicas) == list(range(replicas[0], replicas[-1] + 1))
