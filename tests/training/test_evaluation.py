"""Test statistics of batch normalization (section 3) and error counts."""

import pytest
import torch

from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run
from asymbp_cli.training.bank import Bank
from asymbp_cli.training.evaluation import Evaluation
from asymbp_cli.training.model import Model

NETWORK = Network(input=(8, 8, 1), layers=("FC 6", "FC classes")).resolve(10)
CPU = torch.device("cpu")


def _made(method: str, data: ResidentData) -> tuple[Bank, Evaluation]:
    named = parse_method(method)
    run = Run(dataset="x", network=NETWORK, method=named, protocol=Protocol(), rate_multiplier=1.0, seed=0)
    model = Model.of(NETWORK, run.protocol, named)
    bank = Bank([run], model, CPU)
    return bank, Evaluation(model, bank, data)


def test_statistics_are_moving_averages_that_start_at_the_first_batch(digits: ResidentData) -> None:
    bank, evaluation = _made("uSF+BN", digits)
    weights = {name: part[0].detach() for name, part in bank.parameters(0).items()}
    batches = list(torch.split(torch.arange(500), 100))
    ((score,),) = evaluation.scores([0], batches).values()
    assert list(evaluation.averages(0)) == [1]
    mean = std = None
    for index in batches:
        x, _ = digits.batch(digits.train, index)
        y = x.permute(0, 2, 3, 1).flatten(1) @ weights["1.weight"].T
        now = y.mean(0), y.std(0, correction=0)
        mean = now[0] if mean is None else 0.95 * mean + 0.05 * now[0]
        std = now[1] if std is None else 0.95 * std + 0.05 * now[1]
    torch.testing.assert_close(evaluation.averages(0)[1], (mean, std))

    x, y = digits.batch(digits.test, torch.arange(360))
    hidden = x.permute(0, 2, 3, 1).flatten(1) @ weights["1.weight"].T
    assert std is not None
    logits = ((hidden - mean) / (std**2 + 1e-5).sqrt()).relu() @ weights["2.weight"].T + weights["2.bias"]
    assert score.wrong == int((logits.argmax(1) != y).sum())
    assert score.loss == pytest.approx(torch.nn.functional.cross_entropy(logits, y).item(), rel=1e-5)
    assert (score.seen, score.one_class) == (360, False)


def test_outputs_that_are_not_finite_count_as_the_first_class(digits: ResidentData) -> None:
    bank, evaluation = _made("SGD", digits)
    bank.weights.detach().fill_(torch.nan)
    ((score,),) = evaluation.scores([0], []).values()
    assert score.wrong == int((digits.test.y != 0).sum())
    assert score.one_class
