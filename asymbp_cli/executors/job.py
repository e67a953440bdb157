"""Trains one job with the engine. Torch is imported by the first call, in the process that trains."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.errors import DataError
from asymbp_cli.events import Event, WorkerFound
from asymbp_cli.executors import Job
from asymbp_cli.results.provenance import add_plugins, collect
from asymbp_cli.specs.protocol import Preprocessing

if TYPE_CHECKING:
    from asymbp_cli.datasets.resident import ResidentData


def train(job: Job) -> Iterator[Event]:
    """Say where this is, then train the job's stack.

    On the CPU it has one thread, which fixes the bits for an instruction set. Its plugins are loaded before, from
    the source that it carries: their files may be elsewhere, or have changed.
    """
    from asymbp_cli.training.device import (
        describe_gpu,
        explain_slowness,
        open_device,
        read_instruction_set,
        threads,
    )
    from asymbp_cli.training.engine import train_stack

    opened = open_device(job.device)  # before anything else uses it
    device, on_cpu = str(opened), opened.type == "cpu"
    here = collect(device, describe_gpu(opened), read_instruction_set() if on_cpu else None)
    runs = tuple(run.id for run in job.stack.runs)
    yield WorkerFound(runs, add_plugins(here, job.plugins), explain_slowness(opened))
    if job.plugins:
        from asymbp_cli.plugins.loading import load

        for plugin in job.plugins:
            load(plugin)
    run = job.stack.runs[0]
    if job.info.shape != run.network.input:
        raise DataError(
            f"{job.info.label} is decoded to {job.info.shape}, and the network of run {run.id} takes "
            f"{run.network.input}. Prepare it for this network"
        )
    fraction = run.protocol.validation_fraction
    with threads(1) if on_cpu else nullcontext():
        yield from train_stack(
            job.stack,
            _load_once(job.info, device, run.protocol.preprocessing, fraction, run.seed if fraction else 0),
            device=device,
            graphs=job.graphs,
            checkpoints=job.checkpoints,
            checkpoint_seconds=job.checkpoint_seconds,
            keep=job.keep,
        )


_kept: "dict[tuple[object, ...], ResidentData]" = {}  # at most one: the next stack usually needs the same data


def _load_once(
    info: DecodedDataset, device: str, preprocessing: Preprocessing, validation_fraction: float, seed: int
) -> "ResidentData":
    """Return the data of a stack, loaded unless the last stack had the same."""
    from asymbp_cli.datasets.resident import load

    key = (info, device, preprocessing, validation_fraction, seed)
    if key not in _kept:
        _kept.clear()  # first, since memory may not hold two
        _kept[key] = load(
            info,
            device=device,
            preprocessing=preprocessing,
            validation_fraction=validation_fraction,
            seed=seed,
        )
    return _kept[key]
