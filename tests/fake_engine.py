"""Stands in for the engine: the same events and checkpoints, from hashes instead of training. No torch.

Every epoch's numbers depend on all epochs before it, so a wrong resume shows. Module-level functions, which
worker processes can import; faults are switched on through the environment.
"""

import hashlib
import json
import math
import os
import signal
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from asymbp_cli.errors import CaptureError, DataError, DeviceError
from asymbp_cli.events import (
    CheckpointDue,
    CheckpointSaved,
    EpochEnded,
    EpochKept,
    Event,
    Progress,
    RunDiverged,
    RunFinished,
    WorkerFound,
)
from asymbp_cli.executors import Job
from asymbp_cli.results.provenance import collect
from asymbp_cli.specs.runs import Run

STATE_BYTES = 32


def train(job: Job) -> Iterator[Event]:
    """Train all runs of a job; `FAKE_EPOCH_SECONDS` is the time that an epoch takes."""
    stack, directory = job.stack, job.checkpoints
    _tell_pid(directory)
    states = {run.id: _restore(directory, run, stack.start_epoch) for run in stack.runs}
    epochs = stack.runs[0].protocol.epochs
    saved = time.monotonic()
    for epoch in range(stack.start_epoch + 1, epochs + 1):
        yield Progress(stack.id, epoch, 1, 2)
        time.sleep(float(os.environ.get("FAKE_EPOCH_SECONDS", "0")))
        for run in stack.runs:
            states[run.id] = hashlib.sha256(states[run.id] + str(epoch).encode()).digest()
            if _diverges(run) and epoch == 2:
                yield RunDiverged(run.id, epoch)
            yield _epoch_ended(run, epoch, states[run.id])
        save = partial(_save_all, directory, stack.runs, epoch, dict(states))
        if epoch < epochs:
            yield EpochKept(stack.id, tuple(run.id for run in stack.runs), epoch, save)
        if epoch < epochs and time.monotonic() - saved >= job.checkpoint_seconds:
            due = CheckpointDue(stack.id)
            yield due
            if due.postponed:
                continue
            save()
            yield CheckpointSaved(tuple(run.id for run in stack.runs), epoch)
            saved = time.monotonic()
    for run in stack.runs:
        yield RunFinished(run.id, "diverged" if _diverges(run) else "finished", epochs)


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


def out_of_memory(job: Job) -> Iterator[Event]:
    """Like `train`, but in epoch 3 memory holds only `FAKE_MOST_REPLICAS` replicas."""
    for event in train(job):
        too_many = len(job.stack.runs) > int(os.environ["FAKE_MOST_REPLICAS"])
        if isinstance(event, Progress) and event.epoch == 3 and too_many:
            raise OutOfMemoryError("CUDA out of memory")
        yield event


def reads_in_captures(job: Job) -> Iterator[Event]:
    """Train with the engine on a GPU, but captured steps read a value on the host, which no capture allows."""
    import torch

    from asymbp_cli.executors.job import train as train_with_engine
    from asymbp_cli.training.step import TrainingStep

    real = TrainingStep._count

    def count(step: TrainingStep, *arguments: torch.Tensor) -> None:
        real(step, *arguments)
        if torch.cuda.is_current_stream_capturing():
            step.loss.tolist()

    TrainingStep._count = count  # type: ignore[method-assign]
    yield from train_with_engine(job)


def uncapturable(job: Job) -> Iterator[Event]:
    """Like `train`, but from epoch 3 on no CUDA graph can be captured; `FAKE_CAPTURE_FAULT` says why."""
    _tell_attempt(job)
    for event in train(job):
        if isinstance(event, Progress) and event.epoch == 3 and job.graphs:
            fault = os.environ["FAKE_CAPTURE_FAULT"]
            raise CaptureError(f"a CUDA graph could not be captured ({fault})") from RuntimeError(fault)
        yield event


def crashes_in_graphs(job: Job) -> Iterator[Event]:
    """Die in epoch 3, as a bug in a driver would have it, unless no graphs are used."""
    _tell_attempt(job)
    for event in train(job):
        if isinstance(event, Progress) and event.epoch == 3 and job.graphs:
            os._exit(3)
        yield event


def _tell_attempt(job: Job) -> None:
    job.checkpoints.mkdir(parents=True, exist_ok=True)
    with open(job.checkpoints / "attempts", "a", encoding="ascii") as file:
        file.write(f"{len(job.stack.runs)} {job.stack.start_epoch} {job.graphs} {os.getpid()}\n")


def killed_once(job: Job) -> Iterator[Event]:
    """Like `train`, but the first process that comes to epoch 3 of a stack is killed."""
    for event in train(job):
        yield event
        if isinstance(event, CheckpointSaved) and event.epoch == 3 and _first_time(job.checkpoints, job.stack.id):
            os.kill(os.getpid(), signal.SIGKILL)


def killed_while_saving(job: Job) -> Iterator[Event]:
    """Like `train`, but the first process is killed when the last run's checkpoint of epoch 3 is still to come."""
    last = job.checkpoints / f"{job.stack.runs[-1].id}.safetensors"
    before = b""
    for event in train(job):
        yield event
        if isinstance(event, CheckpointSaved) and event.epoch == 2:
            before = last.read_bytes()
        if isinstance(event, CheckpointSaved) and event.epoch == 3 and _first_time(job.checkpoints, "saving"):
            last.write_bytes(before)
            os.kill(os.getpid(), signal.SIGKILL)


def killed_always(job: Job) -> Iterator[Event]:
    """Like `train`, but stacks with the multiplier 100 kill their process after two epochs."""
    for event in train(job):
        yield event
        if _unlucky(job) and isinstance(event, EpochEnded) and event.epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)


def breaks(job: Job) -> Iterator[Event]:
    """Like `train`, but stacks with the multiplier 100 raise after an epoch."""
    for event in train(job):
        yield event
        if _unlucky(job) and isinstance(event, EpochEnded):
            raise RuntimeError("shapes do not fit\nsecond line")


def says_where(job: Job) -> Iterator[Event]:
    """Like `train`, and says first where it is; on a device whose model has the name of the process."""
    yield WorkerFound(
        tuple(run.id for run in job.stack.runs), collect(job.device, f"process {os.getpid()}", "AVX2")
    )
    yield from train(job)


def of_another_version(job: Job) -> Iterator[Event]:
    """Like `train`, by another version of the program."""
    for event in says_where(job):
        if isinstance(event, WorkerFound):
            there = replace(event.provenance, host="node7", software={"asymbp": "0.1.0"})
            event = replace(event, provenance=there)
        yield event


def opens_one_gpu(job: Job) -> Iterator[Event]:
    """Like `says_where`, but cuda:0 alone can be opened."""
    if job.device != "cuda:0":
        raise DeviceError(f'the device "{job.device}" cannot be used: it is busy')
    yield from says_where(job)


def opens_no_gpu(job: Job) -> Iterator[Event]:
    """No device can be opened."""
    raise DeviceError(f'the device "{job.device}" cannot be used: it is busy')
    yield


def survives_on_one_gpu(job: Job) -> Iterator[Event]:
    """Like `says_where`, but opening another device than cuda:0 ends the process."""
    if job.device != "cuda:0":
        os._exit(3)
    yield from says_where(job)


def exits_twice(job: Job) -> Iterator[Event]:
    """Like `train`, but the first processes that have saved epochs 2 and 3 of a stack end without a word."""
    for event in train(job):
        yield event
        was_saved = isinstance(event, CheckpointSaved) and event.epoch in (2, 3)
        if was_saved and _first_time(job.checkpoints, f"{job.stack.id}-{event.epoch}"):
            os._exit(3)


def data_is_gone(job: Job) -> Iterator[Event]:
    """Raise what a user can mend."""
    raise DataError("the cache has gone; run the command again")
    yield


def crashes(job: Job) -> Iterator[Event]:
    """Die as a bug in a library would have it."""
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)
    yield from train(job)


def exits(job: Job) -> Iterator[Event]:
    """End the process without a word."""
    os._exit(3)
    yield from train(job)


def one_thread(job: Job) -> Iterator[Event]:
    """Like `train`; fails where the process is not set up as a worker of one thread."""
    assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    yield from train(job)


def _epoch_ended(run: Run, epoch: int, state: bytes) -> EpochEnded:
    dead = _diverges(run) and epoch >= 2
    return EpochEnded(
        run=run.id,
        epoch=epoch,
        rate=run.protocol.rate(epoch) * run.rate_multiplier,
        train_loss=math.nan if dead else state[0] / 256,
        train_wrong=state[1],
        train_seen=1437,
        test_loss=math.nan if dead else state[2] / 256,
        test_wrong=324 if dead else state[3],
        test_seen=360,
        validation_wrong=None,
        validation_seen=None,
        one_class=dead,
        diverged=dead,
        seconds=0.5,
        measures={} if dead else {"angle": {2: state[4] / 2, 3: None}},
    )


def _diverges(run: Run) -> bool:
    return run.rate_multiplier == 1000


def _unlucky(job: Job) -> bool:
    return any(run.rate_multiplier == 100 for run in job.stack.runs)


def _first_time(directory: Path, what: str) -> bool:
    try:
        (directory / f"killed-{what}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _tell_pid(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"pid-{os.getpid()}").touch()


def _save_all(directory: Path, runs: tuple[Run, ...], epoch: int, states: Mapping[str, bytes]) -> None:
    for run in runs:
        _save(directory, run, epoch, states[run.id])


def _save(directory: Path, run: Run, epoch: int, state: bytes) -> None:
    """Write a checkpoint as safetensors would."""
    tensor = {"dtype": "U8", "shape": [STATE_BYTES], "data_offsets": [0, STATE_BYTES]}
    metadata = {"epoch": str(epoch), "run": run.id, "crc32": str(zlib.crc32(state))}
    header = json.dumps({"__metadata__": metadata, "state": tensor}).encode()
    temporary = directory / f".{run.id}.safetensors.{os.getpid()}"
    temporary.write_bytes(len(header).to_bytes(8, "little") + header + state)
    os.replace(temporary, directory / f"{run.id}.safetensors")


def _restore(directory: Path, run: Run, epoch: int) -> bytes:
    if not epoch:
        return hashlib.sha256(run.id.encode()).digest()
    content = (directory / f"{run.id}.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert json.loads(content[8 : 8 + length])["__metadata__"]["epoch"] == str(epoch)
    return content[-STATE_BYTES:]
