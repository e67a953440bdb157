"""Adam and clipped gradients in a stack, against PyTorch's own, fed with the gradients of the stack."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from tiny_stacks import make

from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.events import RunDiverged
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.runs import Stack
from asymbp_cli.training.engine import Trainer, train_stack
from asymbp_cli.training.model import Model
from asymbp_cli.training.update import update

CPU = torch.device("cpu")


def begin(data: ResidentData, *methods: str, rates: tuple[float, ...] = (1.0,), **protocol: Any) -> Trainer:
    runs = tuple(make(data, method, rate, **protocol) for method in methods for rate in rates)
    trainer = Trainer(Stack(runs), data, CPU)
    trainer.begin_epoch(1, range(len(runs)))
    return trainer


def gradients(trainer: Trainer, index: torch.Tensor) -> torch.Tensor:
    """Return the gradients [R, P] of a mini-batch before any update."""
    for block in trainer.step.blocks:
        trainer.step.probe(block, index)
    return trainer.bank.gradients.clone()


def steps(trainer: Trainer, count: int = 4) -> Iterator[torch.Tensor]:
    """Train on some mini-batches; yield the gradients of each, which are its update's."""
    for index in trainer.batches(1)[:count]:
        found = gradients(trainer, index)
        trainer.step(index)
        yield found


def parts(trainer: Trainer) -> list[slice]:
    return [slice(part.start, part.start + part.size) for part in trainer.model.parameters]


@pytest.mark.parametrize("decay_biases", [True, False])
def test_a_stack_trains_by_adam_as_torch_does(digits: ResidentData, decay_biases: bool) -> None:
    trainer = begin(digits, "Adam", "uSF+Adam", rates=(10.0, 0.1), weight_decay=0.1, decay_biases=decay_biases)
    bank = trainer.bank
    rows = [[torch.nn.Parameter(row[part].clone()) for part in parts(trainer)] for row in bank.weights]
    optimizers = []
    for replica, row in enumerate(rows):
        decays = [0.1 if decay_biases or part.kind == "weight" else 0 for part in trainer.model.parameters]
        groups = [{"params": [p], "weight_decay": decay} for p, decay in zip(row, decays, strict=True)]
        optimizers.append(torch.optim.Adam(groups, lr=bank.rates[replica].item()))
    for g in steps(trainer):
        for replica, (row, optimizer) in enumerate(zip(rows, optimizers, strict=True)):
            for parameter, part in zip(row, parts(trainer), strict=True):
                parameter.grad = g[replica, part].clone()
            optimizer.step()
    for replica, row in enumerate(rows):
        for parameter, part in zip(row, parts(trainer), strict=True):
            torch.testing.assert_close(bank.weights[replica, part], parameter.detach(), rtol=2e-5, atol=1e-7)


def test_a_stack_clips_gradients_as_torch_does(digits: ResidentData) -> None:
    trainer = begin(digits, "SGD", "uSF", rates=(1.0, 0.1), gradient_clip=200.0, momentum=0.0, weight_decay=0.0)
    norms = []
    before = trainer.bank.weights.clone()
    for g in steps(trainer):
        for replica, row in enumerate(g):
            parameter = torch.nn.Parameter(before[replica].clone())
            parameter.grad = row.clone()
            norms.append(torch.nn.utils.clip_grad_norm_([parameter], 200.0).item())
            expected = before[replica] - trainer.bank.rates[replica] * parameter.grad
            torch.testing.assert_close(trainer.bank.weights[replica], expected, rtol=1e-5, atol=1e-7)
        before = trainer.bank.weights.clone()
    assert min(norms) < 200 < max(norms)  # some are clipped, and some are not


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_clipped_gradients_depend_neither_on_the_stack_nor_on_threads(digits: ResidentData) -> None:
    """Torch splits a sum among threads if it is the only one."""
    network = Network(input=(8, 8, 1), layers=("FC 3000", "FC classes")).resolve(10)
    runs = [
        make(digits, name, gradient_clip=1.0).model_copy(update={"network": network}) for name in ("SGD", "BM")
    ]
    row = torch.randn(Model.of(network, runs[0].protocol, runs[0].method).row_size)

    def clip(count: int) -> torch.Tensor:
        trainer = Trainer(Stack(tuple(runs[:count])), digits, CPU)
        trainer.bank.gradients[:] = row
        trainer.bank.clip_gradients()
        assert trainer.bank.gradients[0].norm() == pytest.approx(1, rel=1e-4)
        return trainer.bank.gradients[0]

    alone, beside = clip(1), clip(2)
    torch.set_num_threads(1)
    assert torch.equal(alone, beside)
    assert torch.equal(alone, clip(1))


def test_layers_that_do_not_train_are_not_in_the_norm(digits: ResidentData) -> None:
    trainer = begin(digits, "SGD Top", gradient_clip=1.0)
    found = {part.name: part.columns(trainer.bank.gradients) for part in trainer.model.parameters}
    trains = {part.name for part in trainer.model.parameters if part.layer == trainer.model.last}
    for name, gradient in found.items():
        gradient.fill_(1e-3 if name in trains else 1e6)
    trainer.bank.clip_gradients()
    assert all((found[name] == 1e-3).all() for name in trains)


def test_a_learned_v_gets_the_increments_of_clipped_weights(digits: ResidentData) -> None:
    """Kolen and Pollack 1994: W - V only decays."""
    trainer = begin(digits, "KP", gradient_clip=1.0, weight_decay=0.0)
    fed = slice(0, trainer.model.feedback_size)
    apart = [trainer.bank.weights[0, fed] - trainer.bank.weights[0, trainer.model.learned_columns]]
    for _ in steps(trainer):
        apart.append(trainer.bank.weights[0, fed] - trainer.bank.weights[0, trainer.model.learned_columns])
    torch.testing.assert_close(apart[0], apart[-1], rtol=0, atol=1e-6)


def test_a_norm_that_overflows_counts_as_divergence(digits: ResidentData) -> None:
    trainer = begin(digits, "SGD", "uSF", gradient_clip=1.0)
    trainer.bank.gradients.fill_(1.0)
    trainer.bank.gradients[1] = 1e30  # a finite number, whose square is not
    trainer.bank.clip_gradients()
    assert trainer.bank.gradients[0].isfinite().all()
    assert trainer.bank.gradients[1].isnan().any()


def test_a_square_that_overflows_counts_as_divergence(digits: ResidentData) -> None:
    """Its weight would never move again, and nothing would tell."""
    trainer = begin(digits, "Adam", "uSF+Adam")
    bank = trainer.bank
    bank.gradients.fill_(1.0)
    bank.gradients[1, 5] = 1e30
    update(bank, bank.alive.clone())
    assert bank.alive.tolist() == [True, False]


def test_adam_starts_anew_where_momentum_does(digits: ResidentData) -> None:
    """Averages and the number of their steps, at every change of the rate."""
    phases = [{"share": 1, "factor": 1}, {"share": 1, "factor": 0.1}]
    trainer = begin(digits, "Adam", epochs=2, phases=phases, momentum_at_change="reset")
    for index in trainer.batches(1)[:3]:
        trainer.step(index)
    assert trainer.bank.steps == 3
    trainer.begin_epoch(2, [0])
    assert trainer.bank.steps == 0
    assert not trainer.bank.state.any()
    before = trainer.bank.weights.clone()
    trainer.step(trainer.batches(2)[0])
    change = (trainer.bank.weights - before).abs()
    assert change.max() == pytest.approx(trainer.bank.rates.item(), rel=1e-3)  # the first step is a sign


def test_no_layer_has_a_bias(digits: ResidentData) -> None:
    trainer = begin(digits, "uSF", biases="none", bias_gradient=0.5)
    assert {part.kind for part in trainer.model.parameters} == {"weight"}
    assert [event for event in train_stack(trainer.stack, digits) if isinstance(event, RunDiverged)] == []


def test_stacks_are_of_one_number_of_states(digits: ResidentData) -> None:
    sgd, manhattan, adam = (make(digits, name).stack_key for name in ("SGD", "uSF+BM", "Adam"))
    assert sgd == manhattan != adam
