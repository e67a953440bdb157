"""Replicas that are computed at once, as on CUDA, train as they do one after the other."""

from typing import Any

import pytest
import torch
from kernels_in_the_interpreter import interpret
from layer_cases import STACKS

from asymbp_cli.bench.steps import make_random_data
from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.events import EpochEnded, RunDiverged
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training import pooling, products, update
from asymbp_cli.training.engine import Trainer

CPU = torch.device("cpu")
#: stride, padding, groups also in the first layer, average pooling, an image into an FC layer
ODD = Network(
    input=(11, 9, 4),
    layers=(
        "Conv 3x2x6/2 pad 1 groups 2",
        "Max 2x2/1",
        "Conv 2x2x4/1 dilation 2 pad 2 groups 2",
        "Avg 2x2/2",
        "FC 7",
        "FC classes",
    ),
)
#: small enough for an interpreter
SMALL = Network(input=(5, 4, 2), layers=("Conv 3x2x3/1 pad 1", "Max 2x2/2", "Conv 2x2x4/1", "FC classes"))
VECTORS = Network(input=(12,), layers=("FC 9", "FC classes"))


def trainer(
    methods: tuple[str, ...],
    network: Network,
    data: ResidentData,
    rates: list[float],
    *,
    together: bool,
    **protocol: Any,
) -> Trainer:
    settings = Protocol.model_validate({"epochs": 2, "batch_size": 50, **protocol})
    runs = tuple(
        Run(
            dataset="x",
            network=network,
            method=parse_method(name),
            protocol=settings,
            rate_multiplier=rate,
            seed=4,
        )
        for name in methods
        for rate in rates
    )
    return Trainer(Stack(runs), data, CPU, together=together)


@pytest.mark.parametrize("methods", STACKS, ids="/".join)
@pytest.mark.parametrize(
    "network", [NETWORKS["digits"], ODD, Network(input=(12,), layers=("FC 9", "FC classes"))], ids=str
)
def test_the_first_steps_are_the_same(methods: tuple[str, ...], network: Network) -> None:
    network = network.resolve(10)
    data = make_random_data(network, 10, 230, CPU)
    pair = [trainer(methods, network, data, [0.1, 0.03], together=together) for together in (False, True)]
    for made in pair:
        made.begin_epoch(1, range(len(made.stack.runs)))
        for index in made.batches(1)[:2]:
            made.step(index)
    alone, at_once = (made.bank for made in pair)
    torch.testing.assert_close(at_once.gradients, alone.gradients, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(at_once.weights, alone.weights, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(pair[1].step.loss, pair[0].step.loss, rtol=1e-5, atol=0)
    assert torch.equal(pair[1].step.wrong, pair[0].step.wrong)
    for replica in range(len(alone.weights) if alone.has_feedback else 0):
        found, own = at_once.feedback(replica), alone.feedback(replica) or alone.parameters(replica)
        for name, values in found.items():
            torch.testing.assert_close(values, own[name], rtol=1e-4, atol=1e-5)


def test_replicas_between_which_others_diverged_go_on(digits: ResidentData) -> None:
    network = NETWORKS["digits"].resolve(10)
    found = []
    for together in (False, True):
        made = trainer(("SGD", "uSF+BM"), network, digits, [1e6, 0.01, 1e5, 0.02], together=together, epochs=3)
        events = [event for epoch in (1, 2, 3) for event in made.train_epoch(epoch)]
        dead = [event.run for event in events if isinstance(event, RunDiverged)]
        last = {e.run: (e.train_wrong, e.test_wrong) for e in events if isinstance(e, EpochEnded) and e.epoch == 3}
        found.append((dead, last, made.bank.weights.detach().clone()))
    (dead, alone, weights), (dead_at_once, at_once, weights_at_once) = found
    assert dead == dead_at_once
    assert len(dead) == 2
    for run, numbers in alone.items():
        assert at_once[run] == pytest.approx(numbers, abs=4)
    rows = [1, 3]  # SGD: rounding does not grow
    torch.testing.assert_close(weights_at_once[rows], weights[rows], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", ["uSF+BN", "BN", "SGD"])
def test_testing_is_the_same(method: str, digits: ResidentData) -> None:
    network = NETWORKS["digits"].resolve(10)
    pair = [trainer((method,), network, digits, [0.1, 0.3, 1.0], together=together) for together in (False, True)]
    for made in pair:
        with torch.no_grad():
            source = torch.Generator().manual_seed(1)
            made.bank.weights += 0.1 * torch.randn(made.bank.weights.shape, generator=source)
    for replicas in ([0, 1, 2], [0, 2]):
        alone, at_once = (made.evaluation.scores(replicas, made.statistics_batches(1)) for made in pair)
        assert len({score.wrong for (score,) in alone.values()}) > 1
        for replica in replicas:
            assert at_once[replica][0].wrong == alone[replica][0].wrong
            assert at_once[replica][0].loss == pytest.approx(alone[replica][0].loss, rel=1e-5)
            averages = (made.evaluation.averages(replica) for made in pair)
            for (_, expected), (_, ours) in zip(*(sorted(found.items()) for found in averages), strict=True):
                torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("methods", [("SGD", "uSF+BM"), ("brSF+BN",), ("uSF Bottom",)], ids="/".join)
@pytest.mark.parametrize("network", [SMALL, ODD, VECTORS], ids=["small", "odd", "vectors"])
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")  # of numpy, by which Triton interprets
def test_kernels_train_as_plain_operations(
    methods: tuple[str, ...], network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("triton", reason="not run: Triton is not installed")
    network = network.resolve(10)
    data, weights = make_random_data(network, 10, 20, CPU), []
    with interpret("products", "pooling") as kernels:
        for found in ({}, kernels):
            for module in (products, pooling):
                monkeypatch.setattr(module, "find_kernels", lambda name, kind, found=found: found.get(name))
            made = trainer(methods, network, data, [0.1, 0.03], together=True, batch_size=8)
            made.begin_epoch(1, range(len(made.stack.runs)))
            for index in made.batches(1)[:2]:
                made.step(index)
            scores = made.evaluation.scores(range(len(made.stack.runs)), made.statistics_batches(1))
            weights.append((made.bank.weights.detach().clone(), [score.loss for (score,) in scores.values()]))
    (plain, losses), (by_kernels, losses_by_kernels) = weights
    torch.testing.assert_close(by_kernels, plain, rtol=1e-3, atol=1e-5)
    assert losses_by_kernels == pytest.approx(losses, rel=1e-3)


@pytest.mark.parametrize("together", [False, True])
def test_a_last_batch_of_one_sample_moves_no_weight_next_to_batch_normalization(together: bool) -> None:
    """Of one sample BN makes 0: gradients are 0 in front of it and behind it, and so are their signs."""
    network = Network(input=(12,), layers=("FC 9", "FC 7", "FC classes")).resolve(3)
    data = make_random_data(network, 3, 5, CPU)
    settings: dict[str, Any] = {"batch_size": 4, "momentum": 0, "weight_decay": 0}
    made = trainer(("uSF+BN+BM", "RndF+BN+BM"), network, data, [1.0, 0.1], together=together, **settings)
    made.begin_epoch(1, range(4))
    four, one = made.batches(1)
    made.step(four)
    before = {name: part.clone() for name, part in made.model.views(made.bank.weights).items()}
    made.step(one)
    for name, part in made.model.views(made.bank.weights).items():
        assert torch.equal(part, before[name]) is (name != "3.bias"), name


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_by_kernels_a_diverged_replica_leaves_its_neighbour_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last mini-batch is one sample."""
    pytest.importorskip("triton", reason="not run: Triton is not installed")
    network = SMALL.resolve(3)
    data, found = make_random_data(network, 3, 5, CPU), []
    with interpret("products", "pooling", "update") as kernels:
        for module in (products, pooling, update):
            monkeypatch.setattr(module, "find_kernels", lambda name, kind: kernels[name])
        for rates in ([0.1], [1e30, 0.1]):
            made = trainer(("brSF+BN+BM",), network, data, rates, together=True, batch_size=4)
            made.begin_epoch(1, range(len(rates)))
            for index in made.batches(1):
                made.step(index)
            assert made.bank.alive.tolist() == [rate < 1 for rate in rates]
            found.append((made.bank.weights[-1].clone(), made.step.wrong[-1]))
    for alone, beside in zip(*found, strict=True):
        assert torch.equal(alone, beside)
