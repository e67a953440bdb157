"""Opening a device for training, and its precision."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from asymbp_cli.errors import DeviceError, MissingDeviceError
from asymbp_cli.machine import DeviceFacts, keep_memory
from asymbp_cli.training.kernels import AMPERE, explain_plain

_GET = "https://pytorch.org/get-started"
_LAST_INDEX = 127  # of a GPU, that torch can name
_LARGE_WORKSPACE, _SMALL_WORKSPACE = 32 << 20, 9 << 20  # bytes that cuBLAS keeps: from Hopper on, and before


def open_device(name: str) -> torch.device:
    """Return the device, set up for training, with an index if it is a GPU of several.

    On the CPU freed memory is kept. Raises DeviceError if this machine has no such device or this PyTorch cannot
    use it.
    """
    _check_exists(name)
    try:
        device = torch.device(name)
        if device.type == "cuda":
            device = torch.device("cuda", torch.cuda.current_device() if device.index is None else device.index)
            torch.cuda.set_device(device)
        _try(device)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise _explain(name, error) from error
    if device.type == "cpu":
        keep_memory()
    return device


def _check_exists(name: str) -> None:
    """Raise MissingDeviceError for a GPU that is not here; torch takes cuda:256 for cuda:0."""
    kind, _, number = name.partition(":")
    count = torch.cuda.device_count() if kind == "cuda" else 0
    if kind == "mps" and not torch.backends.mps.is_available():
        reason = "it is the GPU of Apple's computers"
    elif count and int(number or 0) >= count:
        reason = f"the last GPU is cuda:{count - 1}" if count > 1 else "the only GPU is cuda:0"
    elif kind == "cuda" and int(number or 0) > _LAST_INDEX:
        reason = "no machine has so many GPUs"
    else:
        return
    raise MissingDeviceError(f'there is no device "{name}" here: {reason}. Use --device {" or ".join(_usable())}')


def _try(device: torch.device) -> None:
    """Compute forward and back on a device: the thread that goes back opens a GPU before cuBLAS needs it there."""
    x = torch.ones(1, device=device, requires_grad=True)
    (x * 2).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    x.grad.tolist()


def read_instruction_set() -> str:
    """Return the instruction set of the CPU that torch's kernels use here: "AVX2", "AVX512", ..."""
    return torch.backends.cpu.get_cpu_capability()


def set_precision(device: torch.device, precision: str) -> None:
    """Let float32 products on CUDA be tf32, or ieee if the protocol says fp32."""
    if device.type == "cuda":
        name = "ieee" if precision == "fp32" else "tf32"
        torch.backends.cuda.matmul.fp32_precision = name
        torch.backends.cudnn.conv.fp32_precision = name  # type: ignore[attr-defined]


def _explain(name: str, error: Exception) -> DeviceError:
    """Return the error for a device that cannot be opened: what is wrong, what to do, which others there are."""
    usable = _usable()
    reason = str(error).partition("\n")[0].partition(". ")[0].rstrip(".") or type(error).__name__
    others = [other for other in usable if other != (f"{name}:0" if name == "cuda" else name)]
    choice = f"--device {' or '.join(others)}"
    if "too old" in reason:
        remedy = f"Update the driver, or install a PyTorch that supports it ({_GET}), or use --device cpu"
    elif "no kernel image" in reason:
        remedy = f"Install a PyTorch that supports it ({_GET}), or use {choice}"
    elif len(others) < len(usable):
        remedy = f"Free it, or use another: {choice}"
    else:
        return MissingDeviceError(f'there is no device "{name}" here: {reason}. Use {choice}')
    return DeviceError(f'the device "{name}" cannot be used: {reason}. {remedy}')


def _usable() -> list[str]:
    found = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    return found + ["mps"] * torch.backends.mps.is_available()


def list_gpus() -> tuple[str, ...]:
    """Return the names of all GPUs; raises DeviceError as `open_device` does if there is none."""
    count = torch.cuda.device_count()
    if not count:
        open_device("cuda:0")
    return tuple(f"cuda:{index}" for index in range(count))


def describe_gpu(device: torch.device) -> str | None:
    """Return the model of an open GPU, and how it computes; None for other devices."""
    if device.type != "cuda":
        return None
    has_tf32 = not torch.version.hip and torch.cuda.get_device_capability(device) >= AMPERE
    precision = f"standard precision: {'tf32' if has_tf32 else 'fp32'}"
    plain = ["plain operations"] if explain_plain(device) else []
    return ", ".join([torch.cuda.get_device_properties(device).name, precision, *plain])


def explain_slowness(device: torch.device) -> str | None:
    """Return why an open GPU computes one replica of a stack after the other; None if it does not."""
    reason = explain_plain(device) if device.type == "cuda" else None
    return reason and f"This GPU trains one run after the other, since it cannot use kernels for many: {reason}"


def describe(name: str) -> DeviceFacts:
    """Open a device and return what planning needs to know of it; raises DeviceError as `open_device` does."""
    device = open_device(name)
    if device.type != "cuda":
        return DeviceFacts(None, None, 0)
    found = torch.cuda.get_device_properties(device)
    workspace = _LARGE_WORKSPACE if found.major >= 9 else _SMALL_WORKSPACE
    return DeviceFacts(found.name, torch.cuda.mem_get_info(device)[0], workspace)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
