"""What files of executors may say: each executor has a model, from which all of them inherit."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from asymbp_cli.errors import UsageError
from asymbp_cli.machine import ALL_GPUS, MOST_WORKERS, parse_device, parse_devices
from asymbp_cli.specs.base import Spec


def _check_devices(text: str) -> str:
    try:
        return ",".join(parse_devices(text))
    except UsageError as error:
        raise ValueError(str(error)) from None


def _check_one_device(text: str) -> str:
    devices = _check_devices(text)
    if "," in devices or devices == ALL_GPUS:
        raise ValueError(f'"{text}" is several devices, and this executor uses one. Name one, or use processes')
    return devices


def _check_remote_device(name: str) -> str:
    try:
        device = parse_device(name)
    except UsageError as error:
        raise ValueError(f"{error}. Each worker has one") from None
    if device not in ("cpu", "cuda:0"):
        raise ValueError(
            f'"{name}" is for this machine: the cluster chooses the GPU of each worker. Write cuda or cpu'
        )
    return device


_AMOUNT = re.compile(r"(?P<number>[0-9]{1,9}(\.[0-9]{1,9})?) ?(?P<unit>MB|GB|TB)", re.IGNORECASE)
_UNITS = {"mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}


def parse_memory(text: str) -> int:
    """Return the bytes of an amount of memory, in units of 1024 as in SLURM. Raises ValueError.

    >>> parse_memory("16 GB"), parse_memory("1.5gb")
    (17179869184, 1610612736)
    """
    found = _AMOUNT.fullmatch(text.strip())
    amount = int(float(found["number"]) * _UNITS[found["unit"].lower()]) if found else 0
    if amount < _UNITS["mb"]:
        raise ValueError(f'"{text}" is not an amount of memory. Write 16 GB, or 800 MB')
    return amount


def _check_memory(text: str) -> str:
    parse_memory(text)
    return text


class ExecutorOptions(Spec):
    """The options of an executor; those that are None are left to the command."""

    executor: str
    workers: int | None = Field(default=None, ge=1, le=MOST_WORKERS)
    """How many stacks train at once."""
    device: Annotated[str, AfterValidator(_check_devices)] | None = None
    """As --device."""

    @property
    def starts_for_each(self) -> bool:
        """Return whether a worker starts for each stack, as a job of a cluster does."""
        return False


class InlineOptions(ExecutorOptions):
    """Of the executor that trains one stack at a time, in this process."""

    workers: int | None = Field(default=None, ge=1, le=1)
    device: Annotated[str, AfterValidator(_check_one_device)] | None = None


class RemoteOptions(ExecutorOptions):
    """The options of executors that train on other machines, whose devices this one cannot look at."""

    device: Annotated[str, AfterValidator(_check_remote_device)] | None = None
    """cpu, or cuda for a GPU of each worker."""
    memory: Annotated[str, AfterValidator(_check_memory)] | None = None
    """Of each worker's device, for instance 16 GB: on the CPU the cluster is asked for it."""

    @property
    def on_gpu(self) -> bool:
        """Return whether each worker has a GPU."""
        return self.device == "cuda:0"

    @property
    def memory_bytes(self) -> int | None:
        """Return the memory of each worker's device; None: not known, so stacks may be too large."""
        return parse_memory(self.memory) if self.memory else None
