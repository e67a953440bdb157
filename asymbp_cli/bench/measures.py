"""What it costs to measure a training, next to an epoch: V and W always, the rest on request."""

import statistics
import time
from dataclasses import dataclass

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.resident import load
from asymbp_cli.recipe.networks import network_for
from asymbp_cli.scheduling.estimate import epoch_seconds
from asymbp_cli.specs.measures import MEASURES
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, Stack, step_kind
from asymbp_cli.training.device import open_device, threads
from asymbp_cli.training.engine import Trainer
from asymbp_cli.training.timing import seconds_per_step

_ROUNDS, _STEPS = 9, 15
ALWAYS = "V and W"


@dataclass(frozen=True)
class MeasuresCost:
    """The seconds of an epoch of a uSF run, and of measuring it after the epoch, by measure."""

    epoch_seconds: float
    seconds: dict[str, float]


def time_measures(info: DecodedDataset) -> MeasuresCost:
    """Time the measures of a run of the paper's network on a decoded dataset, on one thread of the CPU."""
    network = network_for(info.key).resolve(len(info.classes))
    run = Run(
        dataset=info.fingerprint,
        network=network,
        method=parse_method("uSF"),
        protocol=Protocol(),
        rate_multiplier=1.0,
        seed=0,
    )
    with threads(1):
        data = load(info, device="cpu")
        step = seconds_per_step(run, data, steps=_STEPS)
        seconds = {}
        for key in ("", *(key for key, measure in MEASURES.items() if measure.cost)):
            protocol = Protocol(measure=(key,) if key else ())
            trainer = Trainer(Stack((run.model_copy(update={"protocol": protocol}),)), data, open_device("cpu"))
            trainer.begin_epoch(1, [0])
            trainer.step(trainer.batches(1)[0])
            seconds[key or ALWAYS] = _time(trainer)
    costs = {key: cost if key == ALWAYS else max(cost - seconds[ALWAYS], 0.0) for key, cost in seconds.items()}
    return MeasuresCost(epoch_seconds(run, info, {step_kind(run): step}), costs)


def _time(trainer: Trainer) -> float:
    """Return the median seconds of measuring a stack."""
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        trainer.meter()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
