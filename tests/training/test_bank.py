"""The banks of a stack equal the definitions, layer by layer and rule by rule."""

import pytest
import torch
from definitions import feedback_weights, update

from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run
from asymbp_cli.training import draws
from asymbp_cli.training.bank import Bank
from asymbp_cli.training.model import Model
from asymbp_cli.training.update import update as apply

CPU = torch.device("cpu")


def _runs(*methods: str, **protocol: object) -> list[Run]:
    network = NETWORKS["digits"].resolve(10)
    settings = Protocol.model_validate(protocol)
    return [
        Run(
            dataset="x",
            network=network,
            method=parse_method(name),
            protocol=settings,
            rate_multiplier=multiplier,
            seed=5,
        )
        for name in methods
        for multiplier in (1.0, 0.1)
    ]


def _bank(runs: list[Run]) -> Bank:
    model = Model.of(runs[0].network, runs[0].protocol, runs[0].method)
    bank = Bank(runs, model, CPU)
    with torch.no_grad():  # so that replicas differ, with exact zeros of both signs among the weights
        bank.weights += torch.randn(bank.weights.shape, generator=draws.generator("test"))
        bank.weights[:, ::50] = 0.0
        bank.weights[:, 1::50] = -0.0
    return bank


SCHEMES = ("SGD", "uSF", "NuSF", "brSF", "brSF-25%", "brSF-100%", "frSF", "frSF-50%", "RndF")


@pytest.mark.parametrize("epoch", [1, 2])
def test_feedback_bank_equals_the_definition(epoch: int) -> None:
    runs = _runs(*SCHEMES)
    bank = _bank(runs)
    size = bank.model.feedback_size
    fixed = {role: draws.Uniform(5, role, torch.empty(size)).next().clone() for role in ("magnitudes", "flips")}
    streams = {role: draws.Uniform(5, role, torch.empty(size)) for role in ("magnitudes", "flips")}
    for stream in streams.values():
        stream.begin(epoch)
    bank.begin_epoch(epoch, 1.0)
    source = draws.generator("gradients")
    for _step in range(3):
        redrawn = {role: stream.next().clone() for role, stream in streams.items()}
        for replica, run in enumerate(runs):
            feedback = run.method.feedback
            drawn = redrawn if feedback.scheme == "brsf" else fixed
            parts = {role: bank.model.feedback_views(row[None]) for role, row in drawn.items()}
            random = bank.model.feedback_views(bank.model.random_feedback(5, feedback.sigma)[None])
            for parameter in bank.model.fed:
                name = parameter.name
                expected = feedback_weights(
                    feedback,
                    bank.parameters(replica)[name].detach(),
                    M=parts["magnitudes"][name],
                    flips=parts["flips"][name] < feedback.flip_probability,
                    random=random[name],
                    fan_in=parameter.fan_in,
                )
                actual = bank.feedback(replica).get(name, bank.parameters(replica)[name])
                assert torch.equal(actual, expected), (run.method, name)
        bank.gradients.normal_(generator=source)
        apply(bank, torch.ones(len(runs), dtype=torch.bool))


@pytest.mark.parametrize("zero_sign", [0, 1])
@pytest.mark.parametrize("train", ["", " Top", " Bottom"])
def test_update_of_a_mixed_stack_equals_the_rules(train: str, zero_sign: int) -> None:
    runs = _runs(*(f"{name}{train}" for name in ("SGD", "BM", "BM2", "BM3")), zero_sign=zero_sign)
    bank = _bank(runs)
    source = draws.generator("gradients")
    before = bank.weights.detach().clone()
    state = torch.zeros_like(before)
    last = bank.model.last
    bank.begin_epoch(1, 0.01)
    for _step in range(3):
        gradients = torch.randn(before.shape, generator=source)
        gradients[:, ::7] = 0
        bank.gradients.copy_(gradients)
        apply(bank, torch.ones(len(runs), dtype=torch.bool))
        for i, run in enumerate(runs):
            for p in bank.model.parameters:
                part = slice(p.start, p.start + p.size)
                trained = not train or (p.layer == last) == (train == " Top")
                if trained:
                    before[i, part], state[i, part] = update(
                        run.method.update,
                        before[i, part],
                        gradients[i, part],
                        state[i, part],
                        rate=0.01 * run.rate_multiplier,
                        momentum=0.9,
                        decay=5e-4,
                        zero_sign=zero_sign,
                    )
                torch.testing.assert_close(bank.weights[i, part].detach(), before[i, part], rtol=1e-6, atol=1e-7)


def test_biases_can_be_left_out_of_decay_and_signs() -> None:
    runs = _runs("BM", decay_biases=False, manhattan_biases=False)
    bank = _bank(runs)
    before = bank.model.views(bank.weights[:1].detach().clone())
    bank.begin_epoch(1, 1.0)
    bank.gradients.fill_(0.25)
    apply(bank, torch.ones(2, dtype=torch.bool))
    after = bank.parameters(0)
    torch.testing.assert_close(after["1.bias"].detach(), before["1.bias"] - 0.25)
    torch.testing.assert_close(after["1.weight"].detach(), before["1.weight"] * (1 - 5e-4) - 1)


def test_a_replica_that_is_not_finite_is_frozen_before_the_bad_update() -> None:
    runs = _runs("SGD", "BM")
    bank = _bank(runs)
    before = bank.weights.detach().clone()
    bank.begin_epoch(1, 1.0)
    bank.gradients.fill_(1.0)
    bank.gradients[1, 3] = torch.nan  # a weight would stop being finite
    apply(bank, torch.tensor([True, True, False, True]))  # and here the loss has
    assert bank.alive.tolist() == [True, False, False, True]
    changed = (bank.weights != before).any(1)
    assert changed.tolist() == [True, False, False, True]
    bank.gradients.fill_(1.0)
    apply(bank, torch.ones(4, dtype=torch.bool))  # for good
    assert torch.equal(bank.weights[1:3].detach(), before[1:3])
