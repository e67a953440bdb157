"""Choices of other papers: activations, losses, orders, initial values and schedules, by plain operations."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_trainers import CPU, IMAGES, VECTORS, make, train
from torch import Tensor

from asymbp_cli.bench.steps import make_random_data
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Phase, Protocol
from asymbp_cli.training.draws import Uniform, batch_order
from asymbp_cli.training.engine import Trainer
from asymbp_cli.training.losses import LOSSES
from asymbp_cli.training.update import plain

#: the protocol of Akrout et al. 2019 on MNIST
AKROUT: dict[str, Any] = {
    "base_rate": 0.3,
    "momentum": 0.0,
    "weight_decay": 0.0,
    "gradient": "mean",
    "loss": "sigmoid-cross-entropy",
    "bias_gradient": 1 / 50,
    "initialization": "half-glorot-normal",
    "initial_biases": "as-weights",
    "order": "file",
    "last_batch": "drop",
}


def plain_parts(trainer: Trainer) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return W [O, I], biases and V of each layer, in float64."""
    parts = sorted(trainer.bank.parameters(0).items())
    W = [part.flatten(0, 1).double().clone() for name, part in parts if "weight" in name]
    b = [part.flatten().double().clone() for name, part in parts if "bias" in name]
    V = [part.flatten(0, 1).double().clone() for _, part in sorted(trainer.bank.feedback(0).items())]
    return W, b, V


@pytest.mark.parametrize("scheme", ["SGD", "FA", "KP"])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_another_papers_training_is_that_of_plain_operations(scheme: str, activation: str) -> None:
    network = VECTORS.model_copy(update={"activation": activation})
    trainer = make(scheme, network=network, **AKROUT)
    W, b, V = plain_parts(trainer)
    for index in trainer.batches(1)[:4]:
        x, y = trainer.data.batch(trainer.data.train, index)
        a = [x.double()]
        for w, bias in zip(W, b, strict=True):
            z = a[-1] @ w.T + bias
            a.append(torch.sigmoid(z) if activation == "sigmoid" or len(a) == len(W) else torch.tanh(z))
        d = [(a[-1] - F.one_hot(y, 10)) / len(y)]
        for layer in (1, 0):
            slope = a[layer + 1] * (1 - a[layer + 1]) if activation == "sigmoid" else 1 - a[layer + 1] ** 2
            d.insert(0, (d[0] @ (V[layer] if V else W[layer + 1])) * slope)
        for layer in range(3):
            change = 0.3 * d[layer].T @ a[layer]
            W[layer] -= change
            b[layer] -= 0.3 * d[layer].sum(0) / 50
            if scheme == "KP" and layer:
                V[layer - 1] -= change
    ours = plain_parts(train(trainer, steps=4))
    for kind, expected in zip(ours, (W, b, V), strict=True):
        for part, wanted in zip(kind, expected, strict=True):
            torch.testing.assert_close(part, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "last"), [("cross-entropy", None), ("sigmoid-cross-entropy", torch.sigmoid), ("squared-error", None)]
)
def test_the_mirror_sees_what_layers_put_out(loss: str, last: Callable[[Tensor], Tensor] | None) -> None:
    """Sigmoids of the loss are the last layer's."""
    trainer = make("WM", network=VECTORS.model_copy(update={"activation": "tanh"}), **AKROUT | {"loss": loss})
    W, b, V = plain_parts(trainer)
    trainer.begin_epoch(1, [0])  # mirrors for an epoch first
    for layer, (number, size) in enumerate(((2, 9), (3, 7))):
        stream = Uniform(3, f"mirror-{number}", torch.empty(50 * size))
        stream.begin(0)
        for _ in trainer.batches(1):
            x = (stream.next().view(50, -1).double() - 0.5) * 0.1
            y = x @ W[layer + 1].T + b[layer + 1]
            y = torch.tanh(y) if layer == 0 else last(y) if last else y
            V[layer] += 0.01 * y.T @ x
    for found, expected in zip(plain_parts(trainer)[2], V, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_activations_follow_batch_normalization_and_max_pooling(activation: str) -> None:
    """A max pooling before an activation that never falls gives what one after it gives."""
    network = IMAGES.model_copy(update={"activation": activation})
    trainer = make("BN", network=network)
    weights = trainer.bank.parameters(0)
    x, _ = trainer.data.batch(trainer.data.train, torch.arange(20))
    found = trainer.model.forward(x, weights, {}, trainer.step._normalize)
    act = getattr(torch, activation)
    plain = {name: part.flatten(0, 1) for name, part in weights.items()}

    def normalize(z: Tensor) -> Tensor:
        return F.batch_norm(z, None, None, training=True, eps=1e-5)

    z = F.max_pool2d(act(normalize(F.conv2d(x, plain["1.weight"], padding=1))), 2)
    z = act(normalize(F.conv2d(z, plain["3.weight"])))
    z = act(normalize(z.permute(0, 2, 3, 1).flatten(1) @ plain["4.weight"].T))
    torch.testing.assert_close(found, z @ plain["5.weight"].T + plain["5.bias"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_losses_and_their_errors(replicas: int, reduction: str) -> None:
    source = torch.Generator().manual_seed(1)
    z = (3 * torch.randn(20, replicas, 10, generator=source)).requires_grad_()
    y = torch.randint(10, (20,), generator=source)
    one_hot = F.one_hot(y, 10).float()
    weight = 1.0 if reduction == "sum" else 1 / 20
    expected = {
        "cross-entropy": torch.stack([F.cross_entropy(z[:, r], y, reduction=reduction) for r in range(replicas)]),
        "sigmoid-cross-entropy": torch.stack(
            [
                F.binary_cross_entropy_with_logits(z[:, r], one_hot, reduction="sum") * weight
                for r in range(replicas)
            ]
        ),
    }
    distances = F.mse_loss(z, one_hot[:, None].expand_as(z), reduction="none").sum((0, 2))
    expected["squared-error"] = distances * weight / 2
    assert expected.keys() == LOSSES.keys()
    for name, losses in expected.items():
        (gradient,) = torch.autograd.grad(losses.sum(), z)
        found, error = LOSSES[name].pass_back(z.detach(), y, reduction, -weight * one_hot)
        torch.testing.assert_close(found, losses.detach())
        torch.testing.assert_close(error, gradient)
        torch.testing.assert_close(LOSSES[name].measure(z.detach(), y, reduction), losses.detach())


def test_the_stored_loss_is_that_of_the_protocol() -> None:
    trainer = make("SGD", "uSF", network=VECTORS, loss="sigmoid-cross-entropy")
    (score, _) = (trainer.evaluation.scores([0, 1], [])[replica][0] for replica in (0, 1))
    x, y = trainer.data.batch(trainer.data.test, torch.arange(len(trainer.data.test.y)))
    logits = trainer.model.forward(x, trainer.bank.parameters(0), {}, trainer.step._normalize)
    expected = F.binary_cross_entropy_with_logits(logits, F.one_hot(y, 10).float(), reduction="sum") / len(y)
    assert score.loss == pytest.approx(expected.item(), rel=1e-5)


def test_samples_may_come_as_in_the_dataset() -> None:
    assert batch_order(0, 3, 5, "file").tolist() == [0, 1, 2, 3, 4]
    trainer = make("SGD", order="file", batch_size=100)
    assert torch.cat(trainer.batches(2)).tolist() == list(range(230))


def test_initial_values_have_their_variance() -> None:
    network = Network(input=(300,), layers=("FC 700", "FC classes"))
    trainer = make("FA", network=network, initialization="half-glorot-normal", initial_biases="as-weights")
    parts = trainer.bank.parameters(0) | {"V": trainer.bank.feedback(0)["2.weight"]}
    for name, width in {"1.weight": 1000, "1.bias": 1000, "2.weight": 710, "V": 710}.items():
        assert parts[name].var().item() == pytest.approx(1 / width, rel=0.15)
        assert abs(parts[name].mean().item()) < 4 / (width * parts[name].numel()) ** 0.5
    assert parts["2.bias"].abs().max() > 0


def test_weight_decay_may_change_with_the_phase() -> None:
    phases = (Phase(share=1, factor=1), Phase(share=2, factor=0.5, decay=0.25))
    protocol = Protocol(epochs=3, phases=phases, weight_decay=0.4)
    assert [protocol.decay(epoch) for epoch in (1, 2, 3)] == [0.4, 0.1, 0.1]
    assert [protocol.rate(epoch) for epoch in (1, 2, 3)] == [5e-4, 2.5e-4, 2.5e-4]

    data = make_random_data(VECTORS.resolve(10), 10, 230, CPU)
    settings = {"momentum": 0.0, "base_rate": 0.1, "initialization": "he-normal"}
    trained = [
        make(
            "SGD",
            data=data,
            phases=[{"share": 1, "factor": 1, "decay": decay}],
            weight_decay=0.1 / decay,
            **settings,
        )
        for decay in (1.0, 0.25)
    ]
    for trainer in trained:
        train(trainer)
    torch.testing.assert_close(trained[0].bank.weights, trained[1].bank.weights)


def test_decay_changes_from_epoch_to_epoch() -> None:
    """Of weights without gradients only decay is left."""
    phases = [{"share": 1, "factor": 1, "decay": decay} for decay in (1.0, 0.5, 0.0)]
    trainer = make("SGD", phases=phases, weight_decay=1.0, momentum=0.0, base_rate=0.1, batch_size=230)
    for epoch, kept in ((1, 0.9), (2, 0.95), (3, 1.0)):
        trainer.begin_epoch(epoch, [0])
        trainer.bank.gradients.zero_()
        before = trainer.bank.weights.clone()
        plain(trainer.bank)
        torch.testing.assert_close(trainer.bank.weights, before * kept)
