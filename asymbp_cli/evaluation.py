"""Error counts of one replica, and the test statistics of batch normalization (section 3). Draws nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from asymbp_cli.datasets.resident import ResidentData, Split
from asymbp_cli.layers import batch_norm, batch_statistics, normalize
from asymbp_cli.model import Model

Statistics = Mapping[int, tuple[Tensor, Tensor]]  # layer -> mean and standard deviation per feature
_SAMPLES_PER_BATCH = 250


@dataclass(frozen=True)
class Score:
    """Counts on a split; `loss` is the mean cross-entropy in nats; `one_class`: every answer is the same."""

    loss: float
    wrong: int
    seen: int
    one_class: bool


@torch.no_grad()
def test_statistics(
    model: Model, weights: Mapping[str, Tensor], data: ResidentData, batches: Sequence[Tensor]
) -> Statistics:
    """Return the moving averages of batch means and standard deviations over `batches` (section 3).

    They start from the first batch; then new = (1 - alpha) old + alpha batch. Start, order and the use of the
    biased deviation are not stated in the paper.
    """
    alpha, epsilon = model.protocol.batch_norm_average, model.protocol.batch_norm_epsilon
    averages: dict[int, tuple[Tensor, Tensor]] = {}

    def observe(layer: int, x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
        now = batch_statistics(x)
        old = averages.get(layer, now)
        averages[layer] = old[0].lerp(now[0], alpha), old[1].lerp(now[1], alpha)
        return batch_norm(x, scale, shift, epsilon=epsilon)

    for index in batches:
        model.forward(data.batch(data.train, index)[0], weights, {}, observe)
    return averages


@torch.no_grad()
def evaluate(
    model: Model, weights: Mapping[str, Tensor], data: ResidentData, split: Split, statistics: Statistics
) -> Score:
    """Return the score on `split`; the only host read is at its end."""
    epsilon = model.protocol.batch_norm_epsilon

    def apply(layer: int, x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
        return normalize(x, *statistics[layer], scale, shift, epsilon=epsilon)

    answers, losses = [], []
    for index in torch.split(torch.arange(len(split.y), device=split.y.device), _SAMPLES_PER_BATCH):
        x, y = data.batch(split, index)
        logits = model.forward(x, weights, {}, apply)
        answers.append(torch.where(logits.isfinite().all(1), logits.argmax(1), 0))
        losses.append(F.cross_entropy(logits, y, reduction="sum"))
    answer, loss = torch.cat(answers), torch.stack(losses).sum()
    wrong, same = (answer != split.y).sum(), (answer == answer[0]).all()
    read = torch.stack([loss, wrong.to(loss.dtype), same.to(loss.dtype)]).tolist()
    return Score(read[0] / len(split.y), int(read[1]), len(split.y), bool(read[2]))
