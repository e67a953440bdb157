"""Devices: opened with an index, and refused with one message that says what to do. torch.cuda is stood in for."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from asymbp_cli import machine
from asymbp_cli.errors import DeviceError, MissingDeviceError
from asymbp_cli.training import device
from asymbp_cli.training.device import open_device


class Gpus:
    """Stands in for torch.cuda, with `count` GPUs; `fault` is raised when one of them is used."""

    def __init__(self, patch: pytest.MonkeyPatch, count: int, fault: Exception | None = None) -> None:
        self.calls: list[tuple[str, object]] = []
        self._count, self._fault, self._ones = count, fault, torch.ones
        patch.setattr(torch.cuda, "device_count", lambda: count)
        patch.setattr(torch.cuda, "current_device", self._note("current_device", lambda: 0))
        patch.setattr(torch.cuda, "set_device", self._note("set_device", self._set))
        patch.setattr(torch, "ones", self._note("ones", self._allocate))
        patch.setattr(torch.backends.mps, "is_available", lambda: False)

    def _note(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append((name, *arguments, *named.values()))  # type: ignore[arg-type]
            return function(*arguments, **named)

        return call

    def _set(self, which: torch.device) -> None:
        assert which.index is not None, "Expected a torch.device with a specified index"
        if self._count == 0 and self._fault:
            raise self._fault
        if which.index >= self._count:
            raise RuntimeError("CUDA error: invalid device ordinal\nCUDA kernel errors might be ...")

    def _allocate(self, size: int, device: torch.device, requires_grad: bool) -> torch.Tensor:
        if self._fault:
            raise self._fault
        return self._ones(size, requires_grad=requires_grad)


@pytest.mark.parametrize(("name", "index"), [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)])
def test_a_gpu_has_an_index_and_is_the_current_one(name: str, index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = Gpus(monkeypatch, 2)
    assert open_device(name) == torch.device("cuda", index)
    assert ("set_device", torch.device("cuda", index)) in gpus.calls


@pytest.mark.parametrize(
    ("name", "count", "fault", "message"),
    [
        (
            "cuda",
            0,
            RuntimeError("Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU"),
            'there is no device "cuda" here: Found no NVIDIA driver on your system. Use --device cpu',
        ),
        (
            "cuda:3",
            2,
            None,
            'there is no device "cuda:3" here: the last GPU is cuda:1. Use --device cpu or cuda:0 or cuda:1',
        ),
        (
            "cuda:256",  # torch takes it for cuda:0
            1,
            None,
            'there is no device "cuda:256" here: the only GPU is cuda:0. Use --device cpu or cuda:0',
        ),
        (
            "cuda:99999999999",
            0,
            None,
            'there is no device "cuda:99999999999" here: no machine has so many GPUs. Use --device cpu',
        ),
        (
            "mps",
            1,
            None,
            'there is no device "mps" here: it is the GPU of Apple\'s computers. Use --device cpu or cuda:0',
        ),
        (
            "cuda",
            1,
            RuntimeError("The NVIDIA driver on your system is too old (found version 11040). Please update"),
            'the device "cuda" cannot be used: The NVIDIA driver on your system is too old (found version 11040). '
            "Update the driver, or install a PyTorch that supports it (https://pytorch.org/get-started), "
            "or use --device cpu",
        ),
        (
            "cuda:0",
            1,
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB"),
            'the device "cuda:0" cannot be used: CUDA out of memory. Free it, or use another: --device cpu',
        ),
        (
            "cuda",
            2,
            RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable\nmore"),
            'the device "cuda" cannot be used: CUDA error: CUDA-capable device(s) is/are busy or unavailable. '
            "Free it, or use another: --device cpu or cuda:1",
        ),
        (
            "cuda:0",
            1,
            RuntimeError("CUDA error: no kernel image is available for execution on the device"),
            'the device "cuda:0" cannot be used: CUDA error: no kernel image is available for execution on the '
            "device. Install a PyTorch that supports it (https://pytorch.org/get-started), or use --device cpu",
        ),
    ],
    ids=[
        "no driver",
        "no such index",
        "wrapped index",
        "huge index",
        "no Mac",
        "old driver",
        "no memory",
        "busy",
        "too old a GPU",
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    name: str, count: int, fault: Exception | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Gpus(monkeypatch, count, fault)
    with pytest.raises(DeviceError) as caught:
        open_device(name)
    assert str(caught.value) == message


def test_all_gpus_are_listed_or_the_first_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    Gpus(monkeypatch, 3)
    assert device.list_gpus() == ("cuda:0", "cuda:1", "cuda:2")
    Gpus(monkeypatch, 0, RuntimeError("Found no NVIDIA driver on your system."))
    with pytest.raises(MissingDeviceError, match='there is no device "cuda:0" here: Found no NVIDIA driver'):
        device.list_gpus()


def test_a_device_that_is_busy_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    Gpus(monkeypatch, 2, RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable"))
    with pytest.raises(DeviceError) as caught:
        open_device("cuda:1")
    assert not isinstance(caught.value, MissingDeviceError)
    with pytest.raises(MissingDeviceError):
        open_device("cuda:2")


def test_the_facts_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    Gpus(monkeypatch, 1)

    class Hopper:
        name, major = "NVIDIA H100", 9

    class Ampere:
        name, major = "NVIDIA A100", 8

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda which: (7 << 30, 8 << 30))
    for kind, workspace in ((Hopper, 32 << 20), (Ampere, 9 << 20)):
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda which, kind=kind: kind)
        assert device.describe("cuda") == machine.DeviceFacts(kind.name, 7 << 30, workspace)
    assert device.describe("cpu") == machine.DeviceFacts(None, None, 0)


@pytest.mark.parametrize(
    ("capability", "reason", "described"),
    [
        ((9, 0), None, "a GPU, standard precision: tf32"),
        ((8, 0), "Triton is not installed", "a GPU, standard precision: tf32, plain operations"),
        ((7, 5), "it is old", "a GPU, standard precision: fp32, plain operations"),
    ],
)
def test_what_a_gpu_computes_with(
    capability: tuple[int, int], reason: str | None, described: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Properties:
        name = "a GPU"

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda which: Properties)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda which: capability)
    monkeypatch.setattr(device, "explain_plain", lambda which: reason)
    gpu = torch.device("cuda:0")
    assert device.describe_gpu(gpu) == described
    note = device.explain_slowness(gpu)
    assert (note is None) == (reason is None)
    assert note is None or note.endswith(f"kernels for many: {reason}")
    assert device.describe_gpu(torch.device("cpu")) is device.explain_slowness(torch.device("cpu")) is None
