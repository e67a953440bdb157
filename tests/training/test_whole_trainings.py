"""Whole trainings by every rule, loss and choice of the protocol, against plain PyTorch in float64."""

from pathlib import Path
from typing import Any

import pytest
import torch
from plain_training import PlainTraining
from tiny_stacks import facts, make, of
from torch import Tensor

from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.events import EpochEnded, RunDiverged
from asymbp_cli.specs.runs import Stack
from asymbp_cli.training.engine import Trainer, train_stack

PHASES = [{"share": 1, "factor": 1}, {"share": 1, "factor": 0.5, "decay": 3}, {"share": 1, "factor": 0.5}]
MEAN = {"gradient": "mean", "base_rate": 0.1, "weight_decay": 0.01, "phases": PHASES, "batch_size": 150}
SLOW = {**MEAN, "base_rate": 0.003, "adam_epsilon": 1e-3}  # a float32 that is nearly 0 may have the other sign
IMAGES = {"crop_padding": 1, "horizontal_flip": True}


def sign(_: str, w: Tensor) -> Tensor:
    return torch.where(w < 0, -1.0, 1.0).double()


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "Adam": ("uSF+Adam", SLOW, {"adam": True, "compute_v": sign}),
    "bare biases": ("Adam", {**SLOW, "decay_biases": False, "bias_gradient": 3.0}, {"adam": True}),
    "Adam anew": ("FA+Adam", {**SLOW, "momentum_at_change": "reset"}, {"adam": True}),
    "Adam without beta1": ("FA+BN+Adam", {**SLOW, "momentum": 0.0, "adam_beta2": 0.9}, {"adam": True}),
    "Adam, learnable BN": ("BN+Adam", {**SLOW, "decay_batch_norm": False}, {"adam": True}),
    "Adam, KP": ("KP+Adam", {**SLOW, "gradient_clip": 0.5}, {"adam": True, "learns": True}),
    "Adam, DFA": ("DFA+Adam", {**SLOW, "loss": "squared-error"}, {"adam": True, "direct": True}),
    "Adam, top": ("RndF+Adam Top", SLOW, {"adam": True}),
    "Adam, bottom": ("RndF+Adam Bottom", SLOW, {"adam": True}),
    "Nesterov": ("uSF", {**MEAN, "nesterov": True}, {"compute_v": sign}),
    "Nesterov anew": ("BN", {**MEAN, "nesterov": True, "momentum_at_change": "reset"}, {}),
    "clipped": ("FA", {**MEAN, "gradient_clip": 0.5, "bias_gradient": 2.0}, {}),
    "clipped, KP": ("KP", {**MEAN, "gradient_clip": 0.5, "nesterov": True}, {"learns": True}),
    "clipped, DFA": ("DFA+BN", {**MEAN, "gradient_clip": 0.5}, {"direct": True}),
    "clipped, top": ("SGD Top", {**MEAN, "gradient_clip": 0.2}, {}),
    "squared": ("uSF+BN", {**MEAN, "loss": "squared-error"}, {"compute_v": sign}),
    "squared sum": ("SGD", {**MEAN, "loss": "squared-error", "gradient": "sum", "base_rate": 3e-4}, {}),
    "no bias": ("FA", {**MEAN, "biases": "none", "gradient_clip": 1.0}, {}),
    "images": ("FA+Adam", {**SLOW, **IMAGES}, {"adam": True}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_training_is_that_of_plain_torch(digits: ResidentData, case: str) -> None:
    method, protocol, how = CASES[case]
    run = make(digits, method, **protocol)
    trainer = Trainer(Stack((run,)), digits, torch.device("cpu"))
    trainer.begin_epoch(1, [0])
    oracle = PlainTraining(trainer, **how)
    before = {name: w.detach().clone() for name, w in oracle.weights.items()}
    events = [event for epoch in (1, 2, 3) for event in trainer.train_epoch(epoch)]
    rates = [run.protocol.base_rate * factor for factor in (1, 0.5, 0.5)]
    decays = [run.protocol.weight_decay * factor for factor in (1, 3, 1)]
    anew = (2,) if run.protocol.momentum_at_change == "reset" else ()
    oracle.train(dict(enumerate(zip(rates, decays, strict=True), start=1)), anew)

    losses = [event.train_loss for event in events if isinstance(event, EpochEnded)]
    assert losses == pytest.approx(oracle.losses, rel=1e-4)
    found = trainer.bank.parameters(0)
    for name, w in oracle.weights.items():
        change = (w - before[name]).detach()
        error = (found[name][0].double() - w.detach()).norm()
        assert error <= 1e-3 * change.norm(), name
    moved = {name for name, w in oracle.weights.items() if not torch.equal(w, before[name])}
    assert {name for name in before if not torch.equal(found[name][0].double(), before[name])} == moved
    assert moved


RICH = {**MEAN, **IMAGES, "gradient_clip": 0.5, "nesterov": True, "decay_biases": False}
GROWING = [{"from_epoch": 1, "size": 150}, {"from_epoch": 2, "size": 200}]


@pytest.mark.parametrize("methods", [("KP+Adam", "PFA+Adam"), ("KP", "PFA+BM"), ("BN+Adam",)], ids="/".join)
def test_a_run_resumes_alone_as_in_its_stack(
    digits: ResidentData, tmp_path: Path, methods: tuple[str, ...]
) -> None:
    """With all choices at once: the optimizer has begun anew in epoch 2, and keeps its state in epoch 3."""
    choices = {**RICH, "batch_size": GROWING, "momentum_at_change": "reset"}
    runs = tuple(make(digits, name, rate, **choices) for name in methods for rate in (1e30, 1.0))
    whole = facts(train_stack(Stack(runs), digits, checkpoints=tmp_path, checkpoint_seconds=0))
    assert any(isinstance(event, RunDiverged) for event in whole)
    for run in runs[:2]:  # the last checkpoints are of epoch 2
        alone = facts(train_stack(Stack((run,), 2), digits, checkpoints=tmp_path))
        assert alone == [event for event in of(run, whole) if getattr(event, "epoch", 3) == 3]
