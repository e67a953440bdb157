"""How many runs a stack may hold: no more than a device makes use of, and than its memory has room for."""

import re
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path

from asymbp_cli.datasets.info import DataInfo
from asymbp_cli.executors.fitting import free_memory
from asymbp_cli.memory import replicas_that_fit
from asymbp_cli.runs import Run

#: on the CPU a replica trains after the other, so large stacks gain nothing; a GPU trains them side by side
MAX_REPLICAS = {"cpu": 5, "cuda": 64, "mps": 5}

#: of available memory; the rest is for what `memory.py` leaves out. On the CPU that is also what processes need by
#: themselves, and what glibc keeps of freed buffers: twice the count has been measured.
SHARES = {"cpu": 0.4, "cuda": 0.8}


def replica_limit(
    device: str, infos: Mapping[str, DataInfo], workers: int, *, most: int | None = None
) -> Callable[[Run], int]:
    """Return a function that tells how many runs like one a stack may hold, at least 1; `infos` by fingerprint.

    Workers share the memory; on CUDA each has its dataset there, too (on the CPU it is memory-mapped).
    `most` replaces what a device makes use of.
    """
    kind = device.split(":")[0]
    limit_of_device, available = most or MAX_REPLICAS.get(kind, 1), available_bytes(device)
    if available is None:
        return lambda run: limit_of_device
    parallel = kind == "cuda"

    def limit(run: Run) -> int:
        data = dataset_bytes(infos[run.dataset]) if parallel else 0
        room = int(SHARES[kind] * (available / workers - data))
        return replicas_that_fit(run, room, most=limit_of_device, parallel=parallel)

    return limit


def available_bytes(device: str) -> int | None:
    """Return the free memory of a CUDA device, or of this Linux machine (not of a container); else None."""
    if device.startswith("cuda"):
        return _free_on_gpu(device)
    if device != "cpu":
        return None
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    except OSError:
        return None
    return int(found[1]) << 10 if found else None


def _free_on_gpu(device: str) -> int | None:
    import torch

    try:
        free_memory()
        return torch.cuda.mem_get_info(device)[0]
    except (RuntimeError, AssertionError, ValueError):  # it is missing: the training will say so
        return None


def dataset_bytes(info: DataInfo) -> int:
    """Return the bytes of a dataset on a device: images as bytes or vectors as float32, labels as int64."""
    value = 1 if len(info.shape) == 3 else 4
    return (info.train_count + info.test_count) * (value * prod(info.shape) + 8)
