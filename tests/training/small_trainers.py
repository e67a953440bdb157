"""Trainers of small stacks, on random data."""

from typing import Any

import torch

from asymbp_cli.bench.steps import make_random_data
from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs.feedback import Feedback
from asymbp_cli.specs.methods import Method, parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training.engine import Trainer

CPU = torch.device("cpu")
VECTORS = Network(input=(12,), layers=("FC 9", "FC 7", "FC classes"))
IMAGES = Network(input=(9, 8, 2), layers=("Conv 3x3x6/1 pad 1", "Max 2x2/2", "Conv 3x2x5/1", "FC 8", "FC classes"))
DIGITS = NETWORKS["digits"]


def make(
    *methods: Method | str,
    network: Network = VECTORS,
    data: ResidentData | None = None,
    rate: float = 1.0,
    together: bool | None = None,
    **protocol: Any,
) -> Trainer:
    """Return a trainer with a replica for each method."""
    network = network.resolve(10)
    settings = Protocol.model_validate({"epochs": 3, "batch_size": 50, **protocol})
    runs = tuple(
        Run(
            dataset="x",
            network=network,
            method=parse_method(method) if isinstance(method, str) else method,
            protocol=settings,
            rate_multiplier=rate,
            seed=3,
        )
        for method in methods
    )
    return Trainer(Stack(runs), data or make_random_data(network, 10, 230, CPU), CPU, together=together)


def train(trainer: Trainer, steps: int = 5) -> Trainer:
    """Train all replicas for the first steps of an epoch."""
    trainer.begin_epoch(1, range(len(trainer.stack.runs)))
    for index in trainer.batches(1)[:steps]:
        trainer.step(index)
    return trainer


def of(scheme: str, **parameters: Any) -> Method:
    """Return a method with this feedback."""
    return Method(feedback=Feedback(scheme=scheme, **parameters))
