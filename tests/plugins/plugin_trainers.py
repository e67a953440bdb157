"""Trainers of runs with plugins, on the digits."""

from collections.abc import Iterator
from typing import Any

import small_study
import torch
from torch import Tensor

from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.recipe.methods import Method
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training.engine import Trainer

CPU = torch.device("cpu")

HEAD = "import torch\nfrom asymbp_cli.plugins import *\n"


def run(method: str | Method = "SGD", *, rate_multiplier: float = 0.1, **protocol: Any) -> Run:
    return Run(
        dataset="x",
        network=small_study.NETWORK,
        method=parse_method(method) if isinstance(method, str) else method,
        protocol=Protocol.model_validate({"epochs": 2, **protocol}),
        rate_multiplier=rate_multiplier,
        seed=0,
    )


def begin(data: ResidentData, *runs: Run, together: bool | None = None) -> Trainer:
    trainer = Trainer(Stack(runs), data, CPU, together=together)
    trainer.begin_epoch(1, range(len(runs)))
    return trainer


def layers(trainer: Trainer, replica: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield W and V of each layer but the first."""
    for name, values in trainer.bank.feedback(replica).items():
        yield trainer.bank.parameters(replica)[name], values


def define(scheme: str, body: str, *, name: str = "mine") -> str:
    return f'{HEAD}@{scheme}("{name}", formula="?")\ndef f(W, draw):\n    {body}\n'
