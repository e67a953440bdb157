"""Error counts of a stack's replicas, and test statistics of batch normalization (section 3). Draws nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from asymbp_cli.datasets.resident import ResidentData, Split
from asymbp_cli.training.bank import Bank
from asymbp_cli.training.blocks import Block, make_blocks
from asymbp_cli.training.cuda_graphs import Captured, Graphs
from asymbp_cli.training.layers import batch_norm, batch_statistics, normalize
from asymbp_cli.training.losses import LOSSES
from asymbp_cli.training.model import Model
from asymbp_cli.training.step import sum_type

_SAMPLES_PER_BATCH = 250
#: by layer: moving averages of mean and standard deviation [features]
Averages = Mapping[int, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Score:
    """Counts on a split; `loss` is the mean over samples; `one_class`: every answer is the same."""

    loss: float
    wrong: int
    seen: int
    one_class: bool


class Evaluation:
    """Scores the replicas of a stack on the test set, and on the validation set, if any."""

    def __init__(self, model: Model, bank: Bank, data: ResidentData, graphs: Graphs | None = None) -> None:
        self._model, self._bank, self._data = model, bank, data
        self._measure_loss = LOSSES[model.protocol.loss].measure
        self._observing = {first: Captured(graphs) for first in (True, False)}
        self.splits = [data.test, *([data.validation] if data.validation else [])]
        self._counting = [(split, Captured(graphs)) for split in self.splits]
        self._use_replicas(())

    def _use_replicas(self, replicas: Sequence[int]) -> None:
        """Make room for the sums of `replicas`, and forget what was captured for others."""
        self._replicas, device = tuple(replicas), self._bank.alive.device
        count = len(self._replicas)
        self._blocks = list[_Tested]()  # gives its memory back first
        blocks = make_blocks(self._bank, replicas, training=False)
        self._blocks = [_Tested(block, self._averages(block)) for block in blocks]
        self._loss = torch.zeros(count, dtype=sum_type(device), device=device)
        self._wrong, self._lowest, self._highest = torch.zeros(3, count, dtype=torch.int64, device=device)
        for captured in (*self._observing.values(), *(captured for _, captured in self._counting)):
            captured.forget()

    def _averages(self, block: Block) -> dict[int, tuple[Tensor, Tensor]]:
        """Return room for moving averages of mean and standard deviation by layer, each [R' * features]."""
        sizes = {p.layer: block.size * p.shape[0] for p in self._model.parameters if p.kind == "weight"}
        zeros = partial(torch.zeros, device=self._bank.alive.device)
        return {layer: (zeros(sizes[layer]), zeros(sizes[layer])) for layer in sorted(self._model.normalized)}

    def averages(self, replica: int) -> dict[int, tuple[Tensor, Tensor]]:
        """Return the present averages of mean and standard deviation of a replica by layer, each [features]."""
        place = self._replicas.index(replica)
        for tested in self._blocks:
            if place < tested.block.size:
                size = tested.block.size
                return {
                    layer: (mean.view(size, -1)[place], deviation.view(size, -1)[place])
                    for layer, (mean, deviation) in tested.averages.items()
                }
            place -= tested.block.size
        raise AssertionError("every replica has a block")

    @torch.no_grad()
    def scores(self, replicas: Sequence[int], coming: Sequence[Tensor]) -> dict[int, list[Score]]:
        """Return each replica's score on the test set and, if there is one, on the validation set.

        `coming` are the mini-batches for test statistics (section 3). The only host read is at the end.
        """
        if tuple(replicas) != self._replicas:
            self._use_replicas(replicas)
        self.observe(coming)
        counts = torch.stack([self._counts(split, captured) for split, captured in self._counting])
        read = dict(zip(replicas, counts.permute(2, 0, 1).tolist(), strict=True))
        sizes = [len(split.y) for split, _ in self._counting]
        return {
            replica: [_score(*numbers, seen=seen) for numbers, seen in zip(found, sizes, strict=True)]
            for replica, found in read.items()
        }

    def observe(self, batches: Sequence[Tensor]) -> None:
        """Take moving averages of means and standard deviations over mini-batches of the training set (section 3).

        They start from the first; then new = (1 - alpha) old + alpha batch. Start, order and the use of the biased
        deviation are not stated in the paper.
        """
        for number, index in enumerate(batches):
            first = number == 0
            self._observing[first](partial(self._observe, first=first), index)

    @torch.no_grad()
    def _observe(self, index: Tensor, *, first: bool) -> None:
        x = self._data.batch(self._data.train, index)[0].to(self._model.dtype)
        for block, averages in self._blocks:
            block.fetch()
            self._model.forward(x, block.parameters, {}, partial(self._watch, averages, first))

    def _watch(
        self, averages: Averages, first: bool, layer: int, x: Tensor, scale: Tensor | None, shift: Tensor | None
    ) -> Tensor:
        for average, now in zip(averages[layer], batch_statistics(x), strict=True):
            if first:
                average.copy_(now)
            else:
                average.lerp_(now, self._model.protocol.batch_norm_average)
        return batch_norm(x, scale, shift, epsilon=self._model.protocol.batch_norm_epsilon)

    def _counts(self, split: Split, captured: Captured) -> Tensor:
        """Return loss, wrong answers, lowest and highest answer of the replicas [4, R']."""
        self._loss.zero_()
        self._wrong.zero_()
        self._lowest.fill_(len(self._data.info.classes))
        self._highest.fill_(-1)
        for index in torch.split(torch.arange(len(split.y), device=split.y.device), _SAMPLES_PER_BATCH):
            captured(partial(self._count, split), index)
        found = (self._loss, self._wrong, self._lowest, self._highest)
        return torch.stack([part.to(self._loss.dtype) for part in found])

    @torch.no_grad()
    def _count(self, split: Split, index: Tensor) -> None:
        x, y = self._data.batch(split, index)
        x = x.to(self._model.dtype)
        found = [self._answer(tested, x, y) for tested in self._blocks]
        logits, losses = (torch.cat(parts) for parts in zip(*found, strict=True))  # [R', B, classes], [R']
        answers = torch.where(logits.isfinite().all(2), logits.argmax(2), 0)
        self._loss.add_(losses)
        self._wrong.add_((answers != y).sum(1))
        torch.minimum(self._lowest, answers.amin(1), out=self._lowest)
        torch.maximum(self._highest, answers.amax(1), out=self._highest)

    def _answer(self, tested: "_Tested", x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [R', B, classes] of a block and its losses [R']."""
        block = tested.block
        block.fetch()
        logits = self._model.forward(x, block.parameters, {}, partial(self._apply, tested.averages))
        logits = logits.float().view(len(y), block.size, -1)
        return logits.transpose(0, 1), self._measure_loss(logits, y, "sum")

    def _apply(
        self, averages: Averages, layer: int, x: Tensor, scale: Tensor | None, shift: Tensor | None
    ) -> Tensor:
        return normalize(x, *averages[layer], scale, shift, epsilon=self._model.protocol.batch_norm_epsilon)


class _Tested(NamedTuple):
    block: Block
    averages: Averages


def _score(loss: float, wrong: float, lowest: float, highest: float, *, seen: int) -> Score:
    return Score(loss / seen, int(wrong), seen, one_class=lowest == highest)


def first_class(split: Split) -> Score:
    """Return the score of answering the first class always, as an argmax over not-a-number does.

    On SVHN that is the digit 0. In the paper's MATLAB it would be 1: its files number the digit 0 as class 10.
    """
    return Score(loss=math.nan, wrong=int((split.y != 0).sum()), seen=len(split.y), one_class=True)
