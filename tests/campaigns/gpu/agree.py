"""Whether the GPU computes the same: captured steps as plain ones, fused updates as plain ones, GPU as CPU.

Each distance is between weights after two epochs of 12 steps, over the way that training has gone; two plain
trainings, which differ by the order of sums, are the yardstick.
"""

from typing import NamedTuple
from unittest.mock import patch

import torch
from common import DEVICE, GPU, Budget, save, show
from torch import Tensor

from asymbp_cli.bench.steps import random_data, runs_of
from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs.protocol import Precision
from asymbp_cli.specs.runs import Stack
from asymbp_cli.training import update
from asymbp_cli.training.device import open_device
from asymbp_cli.training.engine import Trainer

STACKS = (["SGD", "uSF", "NuSF", "brSF-25%", "frSF-25%", "RndF", "BM"], ["uSF+BN", "brSF+BN+BM"], ["BN", "BN+BM"])


class _Trained(NamedTuple):
    start: Tensor
    first: Tensor  # after one step
    end: Tensor
    draws: Tensor
    captured: bool
    alive: list[bool]


def _train(
    methods: list[str], precision: Precision, data: ResidentData, *, graphs: bool, steps: int = 12, epochs: int = 2
) -> _Trained:
    runs = tuple(
        run.model_copy(update={"rate_multiplier": 0.1})
        for run in runs_of(NETWORKS["mnist"].resolve(10), methods, precision=precision)
    )
    trainer = Trainer(Stack(runs), data, data.mean.device, graphs=graphs)
    bank, first = trainer.bank, None
    start = bank.weights.detach().cpu().clone()
    for epoch in range(1, epochs + 1):
        trainer.begin_epoch(epoch, range(len(runs)))
        for index in trainer.batches(epoch)[:steps]:
            trainer.step(index)
            first = bank.weights.detach().cpu().clone() if first is None else first
    assert first is not None
    return _Trained(
        start,
        first,
        bank.weights.detach().cpu().clone(),
        bank.feedback_bank.factors.cpu().clone(),
        bool(trainer.step.captured.sizes),
        bank.alive.tolist(),
    )


def _distance(found: Tensor, expected: Tensor, start: Tensor) -> float:
    return float((found - expected).norm() / (expected - start).norm().clamp_min(1e-30))


def agree(seconds: float) -> bool:
    """Compare all of it, and return whether it agrees."""
    budget, device, cpu = Budget(seconds), open_device(DEVICE), torch.device("cpu")
    network, rows = NETWORKS["mnist"].resolve(10), []
    data, here = random_data(network, 10, 2000, device), random_data(network, 10, 2000, cpu)
    precisions: tuple[Precision, ...] = ("fp32", "standard", "bf16") if GPU else ("fp32",)
    for precision in precisions:
        for methods in STACKS:
            if budget.left < 5:
                break
            plain, again = (_train(methods, precision, data, graphs=False) for _ in range(2))
            graph = _train(methods, precision, data, graphs=True)
            with patch.object(update, "_kernel_of", lambda kind: update.plain):
                unfused = _train(methods, precision, data, graphs=False)
            reference = _train(methods, "fp32", here, graphs=False, steps=1, epochs=1)
            for i, name in enumerate(methods):
                row = {
                    "precision": precision,
                    "method": name,
                    "plain/plain": _distance(again.end[i], plain.end[i], plain.start[i]),
                    "graph/plain": _distance(graph.end[i], plain.end[i], plain.start[i]),
                    "unfused/fused": _distance(unfused.end[i], plain.end[i], plain.start[i]),
                    "first step, GPU/CPU fp32": _distance(plain.first[i], reference.first[i], reference.start[i]),
                    "captured": graph.captured,
                    "draws equal": torch.equal(graph.draws, plain.draws),
                    "alive": graph.alive[i],
                }
                rows.append(row)
                show("agree", row)
            save("agree", rows)
    bad = [row for row in rows if not _acceptable(row)]
    print("agree:", "FAILED" if bad or not rows else "ok", *bad, sep="\n", flush=True)
    return bool(rows) and not bad


def _acceptable(row: dict[str, object]) -> bool:
    """Return whether a row agrees. A sign turns rounding into a full step: Batch Manhattan is not held to it."""
    exact = row["draws equal"] and (row["captured"] or not GPU)
    limit = 20 * float(row["plain/plain"]) + 1e-3  # type: ignore[arg-type]
    near = all(float(row[key]) <= limit for key in ("graph/plain", "unfused/fused"))  # type: ignore[arg-type]
    return bool(exact) and (near or "BM" in str(row["method"]))
