"""Triton kernels over whole stacks, for CUDA. Plain operations in the files above define what each computes."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch


@cache
def find_kernels(name: str, device_type: str) -> ModuleType | None:
    """Return the module of this folder that computes on a device; None if plain operations do."""
    if device_type != "cuda" or torch.version.hip or find_spec("triton") is None:
        return None
    return import_module(f"{__name__}.{name}")
