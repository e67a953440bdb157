"""Triton kernels over whole stacks, for CUDA. Plain operations in the files above define what each computes."""

import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from subprocess import CalledProcessError
from types import ModuleType

import torch

#: of every launch: a product that is added is rounded once. Without it bits depend on the version of Triton
FUSED = {"enable_fp_fusion": True}
AMPERE = (8, 0)  # the first GPUs whose tensor cores take tf32 and bf16
_COMPILER = "Triton needs a C compiler and Python's headers: install gcc and python3-dev, or name a compiler in CC"


def find_kernels(name: str, device: torch.device) -> ModuleType | None:
    """Return the module of this folder that computes on a device; None if plain operations do."""
    if device.type != "cuda" or explain_plain(device):
        return None
    return import_module(f"{__name__}.{name}")


@cache
def explain_plain(device: torch.device) -> str | None:
    """Return the reason why plain operations compute on a GPU, and a remedy; None if kernels do.

    The first call tries them there, so that none fails in the middle of a training.
    """
    if torch.version.hip:
        return "they are for GPUs by NVIDIA"
    if torch.cuda.get_device_capability(device) < AMPERE:
        return "they need tensor cores that take tf32, as GPUs have from Ampere on"
    if find_spec("triton") is None:
        return "Triton is not installed"
    try:
        import_module(f"{__name__}.trial").try_kernels(device)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # of Triton, of compilers, of a cache that cannot be written
        return _explain(error)
    return None


def _explain(error: Exception) -> str:
    """Return the reason why Triton cannot compile, and a remedy."""
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    if isinstance(error, CalledProcessError):
        return f"a C compiler failed. {_COMPILER}"
    if "C compiler" in reason or getattr(error, "filename", "") == os.environ.get("CC"):
        return f"there is no C compiler. {_COMPILER}"
    if isinstance(error, OSError):
        return f"{reason}. Name another folder for what Triton compiles in TRITON_CACHE_DIR"
    return reason
