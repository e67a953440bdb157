"""Seconds of training steps, measured for an estimate."""

import time
from collections.abc import Iterable, Mapping

import torch

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.resident import ResidentData, load
from asymbp_cli.errors import DeviceError, ran_out_of_memory
from asymbp_cli.specs.runs import Run, Stack, StepKind, representatives
from asymbp_cli.training.device import open_device, threads
from asymbp_cli.training.engine import Trainer


def measure_steps(runs: Iterable[Run], infos: Mapping[str, DecodedDataset], device: str) -> dict[StepKind, float]:
    """Return the seconds of a training step of each kind of `runs`: a few are made, and thrown away.

    `infos` by fingerprint. On the CPU on one thread, as in training. If a dataset has fewer samples than a
    mini-batch, the time is counted up to a full one in proportion.
    """
    kinds, measured = representatives(runs), {}
    with threads(1):
        for fingerprint in {run.dataset for run in kinds.values()}:
            data = load(infos[fingerprint], device=device)
            for kind, run in kinds.items():
                if run.dataset == fingerprint:
                    share = min(1.0, infos[fingerprint].train_count / kind.batch_size)
                    measured[kind] = seconds_per_step(run, data, device=device) / share
    return measured


def seconds_per_step(
    run: Run, data: ResidentData, *, device: str = "cpu", steps: int = 3, replicas: int = 1
) -> float:
    """Measure the seconds of one training step of a stack of runs like `run`: the median of `steps`.

    For an estimate. Raises DeviceError if the device has too little memory.
    """
    try:
        return _seconds_per_step(run, data, device, steps, replicas)
    except (RuntimeError, MemoryError) as error:
        if not ran_out_of_memory(error):
            raise
        weights, size = run.network.parameter_count(), run.protocol.samples_per_batch(1)
        raise DeviceError(
            f"a network of {weights:,} weights at batch size {size:,} needs more memory than there is; "
            "make one of them smaller"
        ) from error


def _seconds_per_step(run: Run, data: ResidentData, device: str, steps: int, replicas: int) -> float:
    alike, rates = _without_passes(run), (run.rate_multiplier / number for number in range(1, replicas + 1))
    runs = tuple(alike.model_copy(update={"rate_multiplier": rate}) for rate in rates)
    trainer = Trainer(Stack(runs), data, open_device(device))
    trainer.begin_epoch(1, range(replicas))
    batches = trainer.batches(1)
    trainer.warm_up(batches[0])
    times = []
    for index in batches[:steps]:
        began = time.perf_counter()
        trainer.step(index)
        if trainer.device.type == "cuda":
            torch.cuda.synchronize(trainer.device)
        times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2]


def _without_passes(run: Run) -> Run:
    """Return a run that mirrors nothing before its first step, which would take as long as an epoch."""
    if run.method.feedback.kind.learned != "mirror":
        return run
    feedback = run.method.feedback.model_copy(update={"mirror_passes": 0})
    return run.model_copy(update={"method": run.method.model_copy(update={"feedback": feedback})})
