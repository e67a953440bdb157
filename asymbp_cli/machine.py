"""Facts about this computer: cores, processor, memory, GPUs. No torch."""

import ctypes
import gc
import os
import platform
import re
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from asymbp_cli.errors import UsageError

if sys.platform != "win32":
    import resource

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # <malloc.h>
_BYTES = 1 << 30
_NUMBER = re.compile("[0-9]{1,18}")
_LARGE = 1 << 16
ALL_GPUS = "cuda:all"
MOST_WORKERS = 10_000  # at once; each takes memory of its study before it trains
#: of a worker on the CPU by itself, most of it torch: 600 MB in `tests/campaigns/README.md`
PROCESS_BYTES = 600 * 10**6


class DeviceFacts(NamedTuple):
    """A GPU's model, its free bytes, and the bytes that cuBLAS keeps per thread; None if unknown."""

    model: str | None
    free_bytes: int | None
    workspace_bytes: int


def cores() -> int:
    """Return the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_workers() -> int:
    """Return how many processes train on the CPU unless a user says so: one per core that there is memory for.

    Several need as much again for the process that leads them.
    """
    available = available_bytes()
    return cores() if available is None else max(1, min(cores(), available // PROCESS_BYTES - 1))


def parse_device(name: str) -> str:
    """Return a device's name as torch writes it; whether this machine has it is checked later.

    Raises UsageError if it names none.
    """
    kind, colon, number = name.lower().partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not _NUMBER.fullmatch(number)):
        raise UsageError(f'"{name}" is not a device; there are cpu, cuda, cuda:1 (the second GPU) and mps')
    if kind == "cuda":
        return f"cuda:{int(number or 0)}"  # a GPU always has an index
    if colon and int(number):
        cores = ". How many cores train at once says --workers" if kind == "cpu" else ""
        raise UsageError(f'"{name}" is not a device: there is one {kind}. Write {kind}{cores}')
    return kind


def parse_devices(text: str) -> tuple[str, ...]:
    """Return the devices of workers, one or more in a list such as `cuda:0,cuda:1`; `ALL_GPUS` stands for all.

    Raises UsageError if they do not go together.
    """
    parts = [part.strip() for part in text.split(",")]
    names = tuple(ALL_GPUS if part.lower() == ALL_GPUS else parse_device(part) for part in parts)
    if len({name.partition(":")[0] for name in names}) > 1:
        raise UsageError(
            f'"{text}" mixes kinds of devices. They round differently, so runs of one table would not compare. '
            "Name devices of one kind"
        )
    if ALL_GPUS in names and len(names) > 1:
        raise UsageError(f'"{text}" names a GPU twice, since {ALL_GPUS} is all of them. Write {ALL_GPUS}')
    for name in names:
        if name != "cpu" and names.count(name) > 1:
            raise UsageError(
                f'"{text}" names {name} twice. A stack uses a whole GPU, and two would halve its memory. '
                "Name each of them once"
            )
    return names


@cache
def processor() -> str:
    """Return the processor's model name; the architecture if the system does not name it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    names = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def busy_cores(seconds: float = 1.0) -> float | None:
    """Return how many cores of this machine are busy, on average over `seconds` of waiting.

    None if it does not say, as on systems other than Linux.
    """
    try:
        before = _busy_and_total()
        time.sleep(seconds)
        busy, total = (now - then for now, then in zip(_busy_and_total(), before, strict=True))
    except (OSError, ValueError):
        return None
    return (os.cpu_count() or 1) * busy / max(total, 1)


def _busy_and_total() -> tuple[int, int]:
    """Return the time that all cores have worked, and that there was, in ticks since the machine started."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(count) for count in file.readline().split()[1:9]]
    idle, waiting = ticks[3:5]
    return sum(ticks) - idle - waiting, sum(ticks)


def cpu_limit() -> int | None:
    """Return the seconds that a process may compute (`ulimit -t`); None if there is no limit."""
    if sys.platform == "win32":
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_CPU)
    return None if limit == resource.RLIM_INFINITY else limit


def seconds_of_children() -> float:
    """Return the seconds that those processes have computed which this one has started and which have ended."""
    if sys.platform == "win32":
        return 0.0
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def available_bytes() -> int | None:
    """Return the memory that this Linux machine (not its container) has available; None elsewhere."""
    try:
        match = re.search(r"MemAvailable:\s+([0-9]+) kB", Path("/proc/meminfo").read_text())
    except OSError:
        return None
    return int(match[1]) << 10 if match else None


def free_memory() -> None:
    """Give back what a GPU keeps for later, so that a smaller stack has all of it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        gc.collect()  # a failed stack may hang in the traceback of its failure
        with suppress(RuntimeError):  # after a failed capture its allocator may be unusable
            torch.cuda.empty_cache()


# A training step asks for the same buffers again and again. By default glibc hands large ones back to the system
# and gets them again with page faults, which costs a step of the MNIST network a sixth of its time on the CPU.


def keep_memory() -> bool:
    """Make glibc's malloc keep up to 1 GiB of freed memory; return False if there is another malloc."""
    mallopt = _glibc("mallopt")
    return bool(mallopt and mallopt(_M_MMAP_THRESHOLD, _BYTES) and mallopt(_M_TRIM_THRESHOLD, _BYTES))


def give_back_memory() -> bool:
    """Make malloc release free memory now, and every buffer of 64 KiB or more as soon as it is freed.

    Then the process holds only what is in use, as measurements need it. Returns False if there is another malloc.
    """
    mallopt, trim = _glibc("mallopt"), _glibc("malloc_trim")
    if not (mallopt and trim and mallopt(_M_MMAP_THRESHOLD, _LARGE) and mallopt(_M_TRIM_THRESHOLD, _LARGE)):
        return False
    trim(0)
    return True


def _glibc(name: str) -> Any:
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError, TypeError):
        return None
