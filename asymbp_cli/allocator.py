"""Keeps freed memory in the process: a training step asks for the same buffers again and again.

By default glibc hands large buffers back to the system and gets them again with page faults, which costs a step
of the MNIST network a sixth of its time on the CPU.
"""

import ctypes
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # <malloc.h>
_BYTES = 1 << 30
_LARGE = 1 << 16


def keep_memory() -> bool:
    """Tell glibc's malloc to keep up to 1 GiB of freed memory; return False where there is another malloc."""
    mallopt = _glibc("mallopt")
    return bool(mallopt and mallopt(_M_MMAP_THRESHOLD, _BYTES) and mallopt(_M_TRIM_THRESHOLD, _BYTES))


def give_back_memory() -> bool:
    """Tell it to give back what is free, and from now on every buffer of 64 KiB and more when it is freed.

    So the process has what is in use, and no more: for measures. Returns False where there is another malloc.
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
