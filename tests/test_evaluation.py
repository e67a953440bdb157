"""Test statistics of batch normalization (section 3) and error counts."""

import pytest
import torch

from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.evaluation import evaluate
from asymbp_cli.evaluation import test_statistics as moving_averages
from asymbp_cli.methods import parse_method
from asymbp_cli.model import Model
from asymbp_cli.networks import Network
from asymbp_cli.protocol import Protocol

NETWORK = Network(input=(8, 8, 1), layers=("FC 6", "FC classes")).resolve(10)


def test_statistics_are_moving_averages_that_start_at_the_first_batch(digits: ResidentData) -> None:
    model = Model.of(NETWORK, Protocol(), parse_method("uSF+BN"))
    weights = model.views(model.initial_row(0))
    batches = list(torch.split(torch.arange(500), 100))
    found = moving_averages(model, weights, digits, batches)
    assert list(found) == [1]
    mean = std = None
    for index in batches:
        x, _ = digits.batch(digits.train, index)
        y = x.permute(0, 2, 3, 1).flatten(1) @ weights["1.weight"].T
        now = y.mean(0), y.std(0, correction=0)
        mean = now[0] if mean is None else 0.95 * mean + 0.05 * now[0]
        std = now[1] if std is None else 0.95 * std + 0.05 * now[1]
    torch.testing.assert_close(found[1], (mean, std))

    score = evaluate(model, weights, digits, digits.test, found)
    x, y = digits.batch(digits.test, torch.arange(360))
    hidden = x.permute(0, 2, 3, 1).flatten(1) @ weights["1.weight"].T
    assert std is not None
    logits = ((hidden - mean) / (std**2 + 1e-5).sqrt()).relu() @ weights["2.weight"].T + weights["2.bias"]
    assert score.wrong == int((logits.argmax(1) != y).sum())
    assert score.loss == pytest.approx(torch.nn.functional.cross_entropy(logits, y).item(), rel=1e-5)
    assert (score.seen, score.one_class) == (360, False)


def test_outputs_that_are_not_finite_count_as_the_first_class(digits: ResidentData) -> None:
    model = Model.of(NETWORK, Protocol(), parse_method("SGD"))
    row = torch.full((model.row_size,), torch.nan)
    score = evaluate(model, model.views(row), digits, digits.test, {})
    assert score.wrong == int((digits.test.y != 0).sum())
    assert score.one_class
