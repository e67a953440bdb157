"""The memory that stacks were predicted to take (`asymbp_cli.scheduling.memory`), and what they take.

Each in a process of its own, on random data that are there before, as is what torch and its libraries set up with
a small network.
"""

import gc
import multiprocessing
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch

from asymbp_cli.bench.steps import SIZES, Steps, random_data, runs_of
from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.errors import DeviceError
from asymbp_cli.machine import give_back_memory, keep_memory
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.scheduling.memory import EVALUATION_SAMPLES, bank_bytes, evaluation_bytes, step_bytes
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


def candidates(device: str, counts: Sequence[int]) -> list[Candidate]:
    """Return stacks of so many replicas of each network of Table 1, without BN and with it."""
    return [Candidate(*found, device) for found in product(SIZES, _METHODS, counts)]


def measure(wanted: Sequence[Candidate]) -> Iterator[Memory]:
    """Yield the memory of training and testing each candidate.

    Raises DeviceError where memory cannot be measured, or is too small.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool:
        for found in pool.map(_measure, wanted):
            yield from found


class _Gauge(NamedTuple):
    """`restart` returns the bytes that there are, and `peak` the most there have been since."""

    restart: Callable[[], int]
    peak: Callable[[], int]


def _measure(wanted: Candidate) -> list[Memory]:
    device = open_device(wanted.device)
    with threads(1):
        _peaks("digits", "uSF+BN", 2, _data("digits", device), _gauge(device))  # torch and its libraries set up
        data = _data(wanted.network, device)
        if device.type == "cuda":  # the libraries have tried their kernels, and taken their workspaces
            _peaks(*wanted[:3], data, _gauge(device))
        in_use = _peaks(*wanted[:3], data, _gauge(device))
        kept = _peaks(*wanted[:3], data, _gauge(device, kept=True))
    key, method, replicas, _ = wanted
    parts = zip(("training", "testing"), _predicted(wanted, device), in_use, kept, strict=True)
    return [Memory(key, method, replicas, *part) for part in parts]


def _data(key: str, device: torch.device) -> ResidentData:
    classes, _ = SIZES.get(key, (10, 0))
    return random_data(NETWORKS[key].resolve(classes), classes, _SAMPLES, device)


def _predicted(wanted: Candidate, device: torch.device) -> tuple[int, int]:
    network = NETWORKS[wanted.network].resolve(SIZES[wanted.network][0])
    (run,) = runs_of(network, [wanted.method])
    banks = bank_bytes(run, wanted.replicas)
    parallel = device.type == "cuda"
    step, test = (count(run, wanted.replicas, parallel=parallel) for count in (step_bytes, evaluation_bytes))
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
    """Return the gauge of memory in use, or of what the allocator has as well."""
    if device.type == "cuda":
        return _cuda_gauge(device)
    status = Path("/proc/self/status")
    if device.type != "cpu" or not status.exists() or not give_back_memory():
        raise DeviceError(f"memory can be measured on CUDA, and on the CPU of Linux with glibc; not on {device}")
    if kept:
        keep_memory()

    def read(field: str) -> int:
        found = re.search(rf"{field}:\s+(\d+) kB", status.read_text())
        return int(found[1]) << 10 if found else 0

    def restart() -> int:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak of resident memory starts anew
        return read("VmRSS")

    return _Gauge(restart, lambda: read("VmHWM"))


def _cuda_gauge(device: torch.device) -> _Gauge:
    """Return the gauge of what the allocator has: a graph's memory is not in use, but kept for its replays."""

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
