"""Whether the GPU computes the same: captured steps as plain ones, a stack as its replicas alone, GPU as CPU.

Each distance is between weights, over the way that training has gone: after two epochs of 12 steps or, if it says
so, after the first step. Nothing that a step computes depends on chance or order, so the same bits are expected;
of a replica with BN only in the same stack.
"""

from typing import NamedTuple
from unittest.mock import patch

import torch
from common import DEVICE, GPU, Budget, save, show
from torch import Tensor

from asymbp_cli.bench.steps import make_random_data, make_runs
from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs.protocol import Precision
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training import update
from asymbp_cli.training.device import open_device
from asymbp_cli.training.engine import Trainer

BEYOND = (["KP", "PFA"], ["WM"], ["DFA"], ["DKP"], ["FA", "noisy", "ternary", "brSF-25%-scaled"])
STACKS = (
    ["SGD", "uSF", "NuSF", "brSF-25%", "frSF-25%", "RndF", "BM"],
    ["uSF+BN", "brSF+BN+BM"],
    ["BN", "BN+BM"],
    *BEYOND,
)


class _Trained(NamedTuple):
    start: Tensor
    first: Tensor  # after one step
    end: Tensor
    draws: Tensor
    captured: bool
    alive: list[bool]


def _train(
    runs: tuple[Run, ...], data: ResidentData, *, graphs: bool, steps: int = 12 if GPU else 2, epochs: int = 2
) -> _Trained:
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


def _runs(methods: list[str], precision: Precision) -> tuple[Run, ...]:
    network = NETWORKS["mnist"].resolve(10)
    return tuple(
        run.model_copy(update={"rate_multiplier": 0.1}) for run in make_runs(network, methods, precision=precision)
    )


def agree(seconds: float) -> bool:
    """Compare all of it, and return whether it agrees."""
    budget, device, cpu = Budget(seconds), open_device(DEVICE), torch.device("cpu")
    network, rows = NETWORKS["mnist"].resolve(10), []
    data, here = make_random_data(network, 10, 2000, device), make_random_data(network, 10, 2000, cpu)
    precisions: tuple[Precision, ...] = ("standard", "bf16", "fp32") if GPU else ("fp32",)
    for precision in precisions:
        for methods in STACKS:
            if budget.left < 5:
                break
            runs = _runs(methods, precision)
            plain, again = (_train(runs, data, graphs=False) for _ in range(2))
            graph = _train(runs, data, graphs=True)
            with patch.object(update, "_kernel_of", lambda kind: update.plain):
                unfused = _train(runs, data, graphs=False, steps=1, epochs=1)
            reference = _train(_runs(methods, "fp32"), here, graphs=False, steps=1, epochs=1)
            for i, name in enumerate(methods):
                alone = _train(runs[i : i + 1], data, graphs=True)
                row = {
                    "precision": precision,
                    "method": name,
                    "plain/plain": _distance(again.end[i], plain.end[i], plain.start[i]),
                    "graph/plain": _distance(graph.end[i], plain.end[i], plain.start[i]),
                    "alone/stack": _distance(alone.end[0], graph.end[i], plain.start[i]),
                    "first step, plain/fused": _distance(unfused.first[i], plain.first[i], plain.start[i]),
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
    """Return whether a row agrees. Devices draw brSF's M differently, and signs turn rounding into full steps."""
    exact = row["draws equal"] and (row["captured"] or not GPU) and row["graph/plain"] == row["plain/plain"] == 0.0
    exact = exact and (
        row["alone/stack"] == 0.0 or "BN" in str(row["method"])
    )  # torch sums BN by how many there are
    fused = float(row["first step, plain/fused"]) < 1e-5  # type: ignore[arg-type]
    limit = {"fp32": 1e-4, "standard": 0.1, "bf16": 0.5}[str(row["precision"])]
    comparable = "brSF" not in str(row["method"]) and "BM" not in str(row["method"])
    near = float(row["first step, GPU/CPU fp32"]) < limit or not comparable  # type: ignore[arg-type]
    return bool(exact) and fused and near
