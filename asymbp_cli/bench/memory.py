"""Predicted (`asymbp_cli.scheduling.memory`) versus measured memory of a stack.

Each stack has a process of its own. What data, torch and its libraries take is not counted: they are there before.
"""

import gc
import multiprocessing
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch

from asymbp_cli.bench.steps import SIZES, Steps, make_random_data, make_runs
from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.errors import DeviceError, ran_out_of_memory
from asymbp_cli.machine import available_bytes, give_back_memory, keep_memory
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.scheduling.bank_sizes import bank_bytes
from asymbp_cli.scheduling.memory import EVALUATION_SAMPLES, evaluation_bytes, step_bytes
from asymbp_cli.spawn import safe_path
from asymbp_cli.text import count
from asymbp_cli.training.device import open_device, threads

_METHODS = ("uSF", "uSF+BN")
_STEPS = 3
_SAMPLES = EVALUATION_SAMPLES + 50  # batches of both sizes


class Candidate(NamedTuple):
    """A stack of one method on a network of Table 1."""

    network: str
    method: str
    replicas: int
    device: str


@dataclass(frozen=True)
class Memory:
    """Peak bytes of a stack beyond data and process, in `part`: "training" (steps) or "testing"."""

    network: str
    method: str
    replicas: int
    part: str
    predicted: int
    measured: int  # in use
    kept: int  # with what the allocator keeps of freed buffers, as in training

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted / self.measured


def list_candidates(device: str, counts: Sequence[int]) -> list[Candidate]:
    """Return stacks of each network of Table 1, with each number of replicas, without BN and with it."""
    return [Candidate(key, method, count, device) for key, method, count in product(SIZES, _METHODS, counts)]


def measure_memory(candidates: Sequence[Candidate]) -> Iterator[Memory]:
    """Yield the memory of training and testing each candidate.

    Raises DeviceError if memory cannot be measured, or is too small.
    """
    context = multiprocessing.get_context("spawn")
    for candidate in candidates:
        _check_fits(candidate)
    with safe_path(), ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool:
        for candidate in candidates:
            try:
                yield from pool.submit(_measure, candidate).result()
            except (BrokenProcessPool, MemoryError, RuntimeError) as error:
                if not isinstance(error, BrokenProcessPool) and not ran_out_of_memory(error):
                    raise
                raise DeviceError(_explain_shortage(candidate)) from error


def _check_fits(candidate: Candidate) -> None:
    """Raise DeviceError if a stack is predicted to need more memory than is free; GPUs say so themselves."""
    device, free = torch.device(candidate.device), available_bytes()
    if device.type == "cpu" and free is not None and max(_predict(candidate, device)) > free:
        raise DeviceError(_explain_shortage(candidate))


def _explain_shortage(candidate: Candidate) -> str:
    needed = max(_predict(candidate, torch.device(candidate.device))) / 2**30
    return (
        f"{count(candidate.replicas, 'replica')} of the network {candidate.network}: more memory is needed than "
        f"is free on {candidate.device}, about {needed:,.1f} GiB. Use fewer, for instance --replicas 8"
    )


class _Gauge(NamedTuple):
    """`restart` returns the bytes in use, and `peak` the highest number of bytes since then."""

    restart: Callable[[], int]
    peak: Callable[[], int]


def _measure(candidate: Candidate) -> list[Memory]:
    key, method, replicas, device_name = candidate
    device = open_device(device_name)
    with threads(1):
        _peaks("digits", "uSF+BN", 2, _data("digits", device), _gauge(device))  # sets up torch and its libraries
        data = _data(key, device)
        if device.type == "cuda":  # lets the libraries try their kernels and take their workspaces
            _peaks(key, method, replicas, data, _gauge(device))
        in_use = _peaks(key, method, replicas, data, _gauge(device))
        kept = _peaks(key, method, replicas, data, _gauge(device, kept=True))
    parts = zip(("training", "testing"), _predict(candidate, device), in_use, kept, strict=True)
    return [Memory(key, method, replicas, *part) for part in parts]


def _data(key: str, device: torch.device) -> ResidentData:
    classes, _ = SIZES.get(key, (10, 0))
    return make_random_data(NETWORKS[key].resolve(classes), classes, _SAMPLES, device)


def _predict(candidate: Candidate, device: torch.device) -> tuple[int, int]:
    """Return the bytes predicted for training and for testing."""
    network = NETWORKS[candidate.network].resolve(SIZES[candidate.network][0])
    (run,) = make_runs(network, [candidate.method])
    parallel = device.type == "cuda"
    banks = bank_bytes(run, candidate.replicas, parallel=parallel)
    step = step_bytes(run, candidate.replicas, parallel=parallel)
    test = evaluation_bytes(run, candidate.replicas, parallel=parallel)
    return banks + step, banks + (step + test if parallel else test)


def _peaks(key: str, method: str, replicas: int, data: ResidentData, gauge: _Gauge) -> tuple[int, int]:
    """Return the peak bytes of training steps of a stack, and of testing it."""
    before = gauge.restart()
    steps = Steps(key, [method] * replicas, data.mean.device, data)
    steps.measure(_STEPS)
    training = gauge.peak() - before
    gauge.restart()
    steps.evaluate()
    return training, gauge.peak() - before


def _gauge(device: torch.device, *, kept: bool = False) -> _Gauge:
    """Return the gauge of memory in use; if `kept`, with the freed buffers that the allocator keeps."""
    if device.type == "cuda":
        return _cuda_gauge(device)
    status = Path("/proc/self/status")
    if device.type != "cpu" or not status.exists() or not give_back_memory():
        raise DeviceError(f"memory cannot be measured on {device}. Use CUDA, or the CPU of Linux with glibc")
    if kept:
        keep_memory()

    def read(field: str) -> int:
        match = re.search(rf"{field}:\s+([0-9]+) kB", status.read_text())
        return int(match[1]) << 10 if match else 0

    def restart() -> int:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak of resident memory
        return read("VmRSS")

    return _Gauge(restart, lambda: read("VmHWM"))


def _cuda_gauge(device: torch.device) -> _Gauge:
    """Return the gauge of all that the allocator holds: a graph's memory is not in use between its replays."""

    def restart() -> int:
        gc.collect()
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_reserved(device)

    def peak() -> int:
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_reserved(device)

    return _Gauge(restart, peak)
