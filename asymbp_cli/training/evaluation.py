"""Error counts of a stack's replicas, and test statistics of batch normalization (section 3). Draws nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from asymbp_cli.datasets.resident import ResidentData, Split
from asymbp_cli.training.bank import Bank
from asymbp_cli.training.cuda_graphs import Captured, Graphs, SideStreams
from asymbp_cli.training.layers import batch_norm, batch_statistics, normalize
from asymbp_cli.training.model import Model
from asymbp_cli.training.step import sum_type

_SAMPLES_PER_BATCH = 250


@dataclass(frozen=True)
class Score:
    """Counts on a split; `loss` is the mean cross-entropy in nats; `one_class`: every answer is the same."""

    loss: float
    wrong: int
    seen: int
    one_class: bool


class Evaluation:
    """Scores the replicas of a stack on the test set, and on the validation set, if any."""

    def __init__(
        self, model: Model, bank: Bank, data: ResidentData, side: SideStreams, graphs: Graphs | None = None
    ) -> None:
        self._model, self._bank, self._data, self._side = model, bank, data, side
        device, count = bank.alive.device, len(bank.alive)
        self._replicas: tuple[int, ...] = ()
        self.averages = {  # layer -> moving averages of mean and standard deviation, each [R, features]
            p.layer: tuple(torch.zeros(count, p.shape[0], device=device) for _ in range(2))
            for p in model.parameters
            if p.kind == "weight" and p.layer in model.normalized
        }
        self._use_replicas(())
        self._observing = {first: Captured(graphs) for first in (True, False)}
        self.splits = [data.test, *([data.validation] if data.validation else [])]
        self._counting = [(split, Captured(graphs)) for split in self.splits]

    def _use_replicas(self, replicas: Sequence[int]) -> None:
        """Make room for the sums of `replicas`."""
        self._replicas, device = tuple(replicas), self._bank.alive.device
        count = len(self._replicas)
        self._loss = torch.zeros(count, dtype=sum_type(device), device=device)
        self._wrong, self._lowest, self._highest = torch.zeros(3, count, dtype=torch.int64, device=device)

    @torch.no_grad()
    def scores(self, replicas: Sequence[int], coming: Sequence[Tensor]) -> dict[int, list[Score]]:
        """Return each replica's score on the test set and, if there is one, on the validation set.

        `coming` are the mini-batches for test statistics (section 3). The only host read is at the end.
        """
        if tuple(replicas) != self._replicas:
            self._use_replicas(replicas)
            for captured in (*self._observing.values(), *(captured for _, captured in self._counting)):
                captured.forget()
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
        for replica in self._replicas:
            with self._side.branch(replica):
                watch = partial(self._watch, replica, first)
                self._model.forward(x, self._bank.parameters(replica), {}, watch)
        self._side.join()

    def _watch(
        self, replica: int, first: bool, layer: int, x: Tensor, scale: Tensor | None, shift: Tensor | None
    ) -> Tensor:
        for average, now in zip(self.averages[layer], batch_statistics(x), strict=True):
            if first:
                average[replica].copy_(now)
            else:
                average[replica].lerp_(now, self._model.protocol.batch_norm_average)
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
        found = []
        for replica in self._replicas:
            with self._side.branch(replica):
                weights = self._bank.parameters(replica)
                logits = self._model.forward(x, weights, {}, partial(self._apply, replica)).float()
                found.append((logits, F.cross_entropy(logits, y, reduction="sum")))
        self._side.join()
        logits, losses = map(torch.stack, zip(*found, strict=True))  # [R', B, classes], [R']
        answers = torch.where(logits.isfinite().all(2), logits.argmax(2), 0)
        self._loss.add_(losses)
        self._wrong.add_((answers != y).sum(1))
        torch.minimum(self._lowest, answers.amin(1), out=self._lowest)
        torch.maximum(self._highest, answers.amax(1), out=self._highest)

    def _apply(self, replica: int, layer: int, x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
        mean, deviation = (average[replica] for average in self.averages[layer])
        epsilon = self._model.protocol.batch_norm_epsilon
        return normalize(x, mean, deviation, scale, shift, epsilon=epsilon)


def _score(loss: float, wrong: float, lowest: float, highest: float, *, seen: int) -> Score:
    return Score(loss / seen, int(wrong), seen, one_class=lowest == highest)


def first_class(split: Split) -> Score:
    """Return the score of answering the first class always, as an argmax over not-a-number does.

    On SVHN that is the digit 0. In the paper's MATLAB it would be 1: its files number the digit 0 as class 10.
    """
    return Score(loss=math.nan, wrong=int((split.y != 0).sum()), seen=len(split.y), one_class=True)
