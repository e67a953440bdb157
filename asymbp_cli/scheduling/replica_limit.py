"""How many runs a stack may hold: no more than a device makes use of, and than its memory has room for."""

from collections.abc import Callable, Mapping, Sequence
from math import prod

from asymbp_cli import machine
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.scheduling.memory import replicas_that_fit
from asymbp_cli.specs.runs import Run
from asymbp_cli.training.probe import facts_if_usable

#: on the CPU a replica trains after the other, so large stacks gain nothing; a GPU computes them at once
MAX_REPLICAS = {"cpu": 5, "cuda": 64, "mps": 5}

#: of available memory; the rest is for what `memory.py` leaves out. On the CPU that is also what processes need by
#: themselves, and what glibc keeps of freed buffers: twice the count has been measured.
SHARES = {"cpu": 0.4, "cuda": 0.8, "mps": 0.4}


def replica_limit(
    devices: Sequence[str], infos: Mapping[str, DecodedDataset], *, most: int | None = None
) -> Callable[[Run], int]:
    """Return a function from a run to how many like it a stack may hold, at least 1; `infos` by fingerprint.

    Each worker has one of `devices`. A stack may go to any of them, so the smallest one decides. `most` replaces
    what a device makes use of.
    """
    limits = [_limit_of(device, devices.count(device), infos, most) for device in dict.fromkeys(devices)]
    return lambda run: min(limit(run) for limit in limits)


def _limit_of(
    device: str, workers: int, infos: Mapping[str, DecodedDataset], most: int | None
) -> Callable[[Run], int]:
    """Return the limit of one device of this machine, whose memory `workers` share."""
    kind, workspace = device.split(":")[0], workspace_bytes(device)
    return limit_by_memory(kind, available_bytes(device), infos, workers, most=most, workspace=workspace)


def limit_by_memory(
    kind: str,
    available: int | None,
    infos: Mapping[str, DecodedDataset],
    workers: int,
    *,
    most: int | None = None,
    workspace: int = 0,
) -> Callable[[Run], int]:
    """Return the limit of any device of a kind (cpu, cuda, mps) with so many bytes; None: not known, no limit.

    Workers share the memory; on CUDA each has its dataset there, too (on the CPU it is memory-mapped).
    """
    limit_of_device = most or MAX_REPLICAS.get(kind, 1)
    if available is None:
        return lambda run: limit_of_device
    parallel = kind == "cuda"

    def limit(run: Run) -> int:
        data = dataset_bytes(infos[run.dataset]) if parallel else 0
        room = int(SHARES[kind] * (available / workers - data))
        return replicas_that_fit(run, room, most=limit_of_device, parallel=parallel, workspace=workspace)

    return limit


def available_bytes(device: str) -> int | None:
    """Return the free memory of a CUDA device, or of this Linux machine (not of a container); else None."""
    if device.startswith("cuda"):
        found = facts_if_usable(device)
        return found.free_bytes if found else None
    if device != "cpu":
        return None
    return machine.available_bytes()


def workspace_bytes(device: str) -> int:
    """Return the bytes that libraries keep on a CUDA device for each thread that they work for."""
    found = facts_if_usable(device) if device.startswith("cuda") else None
    return found.workspace_bytes if found else 0


def dataset_bytes(info: DecodedDataset) -> int:
    """Return the bytes of a dataset on a device: images as bytes or vectors as float32, labels as int64."""
    value = 1 if len(info.shape) == 3 else 4
    return (info.train_count + info.test_count) * (value * prod(info.shape) + 8)
