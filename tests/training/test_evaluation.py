"""Test statistics of batch normalization (section 3) and error counts."""

import pytest
import torch

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.resident import ResidentData, load
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training.bank import Bank
from asymbp_cli.training.engine import Trainer
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


@pytest.mark.parametrize(("treatment", "order"), [("once", [0, 1, 2]), ("cycle", [0, 1, 2] * 6 + [0, 1])])
def test_short_epochs(treatment: str, order: list[int], digits_info: DecodedDataset) -> None:
    """Three mini-batches: once, or again and again until there are 20; as weighted sums, worked out apart."""
    weights = [0.0, 0.0, 0.0]
    for age, batch in enumerate(reversed(order)):
        weights[batch] += (0.05 if age < len(order) - 1 else 1) * 0.95**age  # the first of all is the start
    assert sum(weights) == pytest.approx(1)
    data = load(digits_info)
    run = Run(
        dataset="x",
        network=NETWORK,
        method=parse_method("uSF+BN"),
        protocol=Protocol.model_validate({"batch_size": 600, "batch_norm_short_epochs": treatment}),
        rate_multiplier=1.0,
        seed=0,
    )
    trainer = Trainer(Stack((run,)), data, CPU)
    trainer.evaluation.scores([0], trainer.statistics_batches(3))
    w = trainer.bank.parameters(0)["1.weight"][0].detach()
    batches = trainer.batches(4)
    assert [len(index) for index in batches] == [600, 600, 237]
    outputs = [data.batch(data.train, index)[0].permute(0, 2, 3, 1).flatten(1) @ w.T for index in batches]
    mean = sum(weight * y.mean(0) for weight, y in zip(weights, outputs, strict=True))
    std = sum(weight * y.std(0, correction=0) for weight, y in zip(weights, outputs, strict=True))
    torch.testing.assert_close(trainer.evaluation.averages(0)[1], (mean, std))


def test_an_epoch_that_is_long_enough_ends_after_its_20th_mini_batch(digits_info: DecodedDataset) -> None:
    def batches(treatment: str) -> list[list[int]]:
        protocol = Protocol.model_validate({"batch_size": 64, "batch_norm_short_epochs": treatment})
        run = Run(
            dataset="x",
            network=NETWORK,
            method=parse_method("uSF+BN"),
            protocol=protocol,
            rate_multiplier=1.0,
            seed=0,
        )
        trainer = Trainer(Stack((run,)), load(digits_info), CPU)
        return [index.tolist() for index in trainer.statistics_batches(1)]

    assert len(batches("cycle")) == 20
    assert batches("cycle") == batches("once")
