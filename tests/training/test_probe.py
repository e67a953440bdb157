"""Planning asks a process of its own about a GPU, and the command's process opens none."""

import os
import signal
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch

from asymbp_cli.errors import DeviceError
from asymbp_cli.machine import DeviceFacts
from asymbp_cli.training import probe
from asymbp_cli.training.probe import facts_if_usable, list_gpus, probe_device, probe_devices

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="not run: there is a CUDA device")


@pytest.fixture(autouse=True)
def _forget() -> None:
    probe._usable.clear()
    list_gpus.cache_clear()


@no_gpu
def test_a_gpu_that_is_missing_is_said_as_by_the_process_that_looked() -> None:
    with pytest.raises(DeviceError, match=r'there is no device "cuda:0" here: .*\. Use --device cpu'):
        probe_device("cuda:0")
    assert facts_if_usable("cuda:0") is None


def _answer(pipe: "Connection", name: str) -> None:
    pipe.send(DeviceFacts(f"{name} of {os.getpid()}", 5, 6))


def test_several_devices_are_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_answer", _answer_or_refuse)
    found = probe_devices(["cuda:1", "cuda:0", "cuda:1"])
    assert list(found) == ["cuda:1", "cuda:0"]
    assert isinstance(found["cuda:0"], DeviceFacts)
    assert str(found["cuda:1"]) == "cuda:1 is busy"
    again = probe_devices(["cuda:0", "cuda:1"])
    assert again["cuda:0"] is found["cuda:0"]
    assert again["cuda:1"] is not found["cuda:1"]  # it may be free now


def _answer_or_refuse(pipe: "Connection", name: str) -> None:
    pipe.send(DeviceError("cuda:1 is busy")) if name == "cuda:1" else _answer(pipe, name)


def test_all_gpus_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_answer_all", _answer_three)
    assert list_gpus() == list_gpus() == ("cuda:0", "cuda:1", "cuda:2")


def _answer_three(pipe: "Connection") -> None:
    pipe.send(("cuda:0", "cuda:1", "cuda:2"))


def _crash(pipe: "Connection", name: str) -> None:
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)


def test_a_device_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_answer", _answer)
    found = probe_device("cuda:0")
    assert found[1:] == (5, 6)
    assert str(found.model).startswith("cuda:0 of ")
    assert str(os.getpid()) not in str(found.model)
    assert probe_device("cuda:0") is found
    assert facts_if_usable("cuda:0") is found


def test_a_driver_that_crashes_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_answer", _crash)
    with pytest.raises(DeviceError, match='"cuda:0" cannot be used: opening it ended a process'):
        probe_device("cuda:0")


@no_gpu
def test_a_command_says_so_before_it_writes_anything_and_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from asymbp_cli.cli.app import main; sys.argv = ['asymbp', *sys.argv[1:]]\n"
        "try: main()\n"
        "finally: assert 'torch' not in sys.modules, 'torch was imported'"
    )
    for name, missing in (("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("cuda:all", "cuda:0")):
        arguments = ["reproduce", "--table", "2", "--device", name, "--results", str(tmp_path / "results")]
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 2
        assert f'there is no device "{missing}" here' in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "results").exists()
