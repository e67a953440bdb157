"""What a step computes at once: on CUDA all replicas of a stack in training, elsewhere each of them alone."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from asymbp_cli.training.bank import Bank
from asymbp_cli.training.model import Parameter, flatten_inputs, shape_as_input
from asymbp_cli.training.products import correlate_vectors, pass_vectors_back


def make_blocks(bank: Bank, replicas: Sequence[int], *, training: bool) -> list["Block"]:
    """Return the blocks of `replicas`, in their order; only in `training` they need V and room for gradients."""
    if bank.together and replicas:
        if not _are_adjacent(replicas):
            return [Scattered(bank, replicas, training=training)]
        return [Adjacent(bank, replicas)]
    return [Adjacent(bank, [replica]) for replica in replicas]


#: of replicas in a bank
Rows = slice | Tensor


class Block:
    """Replicas that are computed at once: their weights and feedback weights by name, [R', ...]."""

    def __init__(
        self, bank: Bank, rows: Rows, weights: Tensor, values: Tensor | None, gradients: Tensor | None
    ) -> None:
        self.rows, self.size = rows, len(weights)
        self.parameters = bank.model.views(weights)
        self.feedback = {} if values is None else bank.model.feedback_views(values)
        self._parts = bank.trained
        self._trained = [self.parameters[part.name].requires_grad_() for part in self._parts]
        self._targets: list[Tensor] = []
        self._learned: list[tuple[Parameter, Tensor]] = []
        if gradients is not None:
            self._targets = [part.columns(gradients) for part in self._parts]
            self._learned = [(part, part.columns(gradients)) for part in bank.model.learned]
        self._shapes = {operation.number: operation.before for operation in bank.model.weighted}

    def fetch(self) -> None:
        """Make the present weights those of the block."""

    def collect(self, logits: Tensor, error: Tensor, sent: Tensor, inputs: Mapping[int, Tensor]) -> None:
        """Store the gradients of the trained weights, from logits [B, R' * classes] and their `error`.

        `inputs` are those of layers to which V carries what is `sent` from the output [B, R' * classes]; of
        layerwise routes there are none.
        """
        ends = [(x, self._carry(number, x, sent)) for number, x in inputs.items() if x.requires_grad]
        ends += [(logits, error)] if logits.requires_grad else []
        outputs, errors = zip(*ends, strict=True)
        found = torch.autograd.grad(outputs, self._trained, grad_outputs=errors)
        flat = [part.flat(gradient) for part, gradient in zip(self._parts, found, strict=True)]
        torch._foreach_copy_(self._targets, flat)
        if inputs and self._learned:
            self._learn(sent, inputs)

    def _carry(self, number: int, x: Tensor, sent: Tensor) -> Tensor:
        """Return the error that V carries from the output to the input x of a layer."""
        flat = pass_vectors_back(sent, self.feedback[f"{number}.weight"])
        return shape_as_input(flat, x, self._shapes[number])

    @torch.no_grad()
    def _learn(self, sent: Tensor, inputs: Mapping[int, Tensor]) -> None:
        """Store the gradients of V: what is sent, times each layer's input."""
        for part, target in self._learned:
            x = flatten_inputs(inputs[part.layer], self._shapes[part.layer])
            gradient, _ = correlate_vectors(x, sent, self.feedback[f"{part.layer}.weight"], biased=False)
            target.copy_(gradient.flatten(1))


class Adjacent(Block):
    """Replicas whose rows follow each other in the bank: the block has views of them."""

    def __init__(self, bank: Bank, replicas: Sequence[int]) -> None:
        rows = slice(replicas[0], replicas[-1] + 1)
        v = bank.feedback_bank
        values = v.values[rows] if v.together else v.row(replicas[0])
        super().__init__(bank, rows, bank.working[rows], values, bank.gradients[rows])


class Scattered(Block):
    """Replicas between which others have diverged: the block has copies of their rows."""

    def __init__(self, bank: Bank, replicas: Sequence[int], *, training: bool) -> None:
        rows = self._rows = torch.tensor(replicas, device=bank.alive.device)
        self._weights = (bank.working, _make_rows(bank.working, len(replicas)))
        values, gradients = bank.feedback_bank.values, bank.gradients
        self._values = (
            (values, _make_rows(values, len(replicas))) if training and bank.feedback_bank.together else None
        )
        self._gradients = (gradients, _make_rows(gradients, len(replicas))) if training else None
        copies = (pair and pair[1] for pair in (self._values, self._gradients))
        super().__init__(bank, rows, self._weights[1], *copies)

    @torch.no_grad()
    def fetch(self) -> None:
        """Copy the present weights and feedback weights."""
        for pair in (self._weights, self._values):
            if pair:
                torch.index_select(pair[0], 0, self._rows, out=pair[1])

    def collect(self, logits: Tensor, error: Tensor, sent: Tensor, inputs: Mapping[int, Tensor]) -> None:
        """Store the gradients of the trained weights, from logits [B, R' * classes] and their `error`."""
        super().collect(logits, error, sent, inputs)
        assert self._gradients is not None
        self._gradients[0].index_copy_(0, self._rows, self._gradients[1])


def _make_rows(source: Tensor, count: int) -> Tensor:
    return torch.zeros(count, source.shape[1], dtype=source.dtype, device=source.device)


def _are_adjacent(replicas: Sequence[int]) -> bool:
    return list(replicas) == list(range(replicas[0], replicas[-1] + 1))
