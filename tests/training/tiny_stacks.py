"""Stacks of a tiny network on the digits, and what their training tells."""

import math
from collections.abc import Sequence
from dataclasses import replace

from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.events import (
    CheckpointDue,
    CheckpointSaved,
    EpochEnded,
    EpochKept,
    Event,
    Progress,
)
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run

TINY = Network(input=(8, 8, 1), layers=("Conv 3x3x4/1", "Max 2x2/2", "FC 12", "FC classes")).resolve(10)

SHARED = {
    "no BN": ("SGD", "BM", "BM2", "BM3", "uSF", "NuSF", "uSF+BM", "brSF", "frSF-25%", "RndF", "RndF+BM"),
    "plain BN": ("uSF+BN", "uSF+BN+BM", "uSF+BN+BM2", "uSF+BN+BM3", "brSF-75%+BN+BM", "frSF+BN+BM", "RndF+BN"),
    "learnable BN": ("BN", "BN+BM"),
    "top": ("SGD Top", "RndF Top"),
    "top with BN": ("RndF+BN+BM Top", "uSF+BN+BM Top"),
    "bottom": ("SGD Bottom", "RndF Bottom"),
    "Adam": ("Adam", "uSF+Adam", "brSF-25%+Adam"),
}


def make(data: ResidentData, method: str, multiplier: float = 1.0, *, seed: int = 0, **protocol: object) -> Run:
    settings = Protocol.model_validate({"epochs": 3, **protocol})
    return Run(
        dataset=data.info.fingerprint,
        network=TINY,
        method=parse_method(method),
        protocol=settings,
        rate_multiplier=multiplier,
        seed=seed,
    )


def facts(events: Sequence[Event] | object) -> list[Event]:
    """What happened, without times and progress; not-a-number made comparable."""
    found: list[Event] = []
    for event in events:  # type: ignore[attr-defined]
        if isinstance(event, EpochEnded):
            losses = {name: -1.0 for name in ("train_loss", "test_loss") if math.isnan(getattr(event, name))}
            event = replace(event, seconds=0.0, **losses)
        if not isinstance(event, Progress | CheckpointDue | CheckpointSaved | EpochKept):
            found.append(event)
    return found


def of(run: Run, events: Sequence[Event]) -> list[Event]:
    return [event for event in events if getattr(event, "run", None) == run.id]
