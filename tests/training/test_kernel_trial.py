"""Kernels are tried on a GPU first; if they fail there, plain operations compute. No GPU is needed."""

from collections.abc import Callable, Iterator
from subprocess import CalledProcessError
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from asymbp_cli.training import kernels
from asymbp_cli.training.kernels import explain_plain, find_kernels

GPU = torch.device("cuda", 0)
COMPILER = "Triton needs a C compiler and Python's headers: install gcc and python3-dev, or name a compiler in CC"


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    explain_plain.cache_clear()
    yield
    explain_plain.cache_clear()


@pytest.fixture
def hopper(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., None]], None]:
    """Stand in for a GPU on which a trial of the kernels does something."""

    def stand_in(trial: Callable[..., None]) -> None:
        monkeypatch.setattr(torch.version, "hip", None)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
        monkeypatch.setattr(kernels, "find_spec", lambda name: name)
        monkeypatch.setattr(kernels, "import_module", lambda name: SimpleNamespace(name=name, try_kernels=trial))

    return stand_in


def _fail(error: Exception) -> Callable[[torch.device], None]:
    def trial(device: torch.device) -> None:
        raise error

    return trial


def test_kernels_are_tried_once_on_each_gpu(hopper: Callable[..., None]) -> None:
    tried: list[torch.device] = []
    hopper(tried.append)
    for _ in range(2):
        found: Any = find_kernels("products", GPU)
        assert found.name == "asymbp_cli.training.kernels.products"
    find_kernels("pooling", torch.device("cuda", 1))
    assert tried == [GPU, torch.device("cuda", 1)]
    assert find_kernels("products", torch.device("cpu")) is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("Failed to find C compiler. Please specify"), f"there is no C compiler. {COMPILER}"),
        (FileNotFoundError(2, "No such file", "/opt/cc"), f"there is no C compiler. {COMPILER}"),
        (CalledProcessError(1, ["gcc", "a.c"]), f"a C compiler failed. {COMPILER}"),
        (
            PermissionError(13, "Permission denied", "/home/me/.triton"),
            "[Errno 13] Permission denied: '/home/me/.triton'. Name another folder for what Triton compiles in "
            "TRITON_CACHE_DIR",
        ),
        (ValueError("ptxas died.\nmore"), "ptxas died"),
        (KeyError(), "KeyError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_if_they_cannot_be_compiled_plain_operations_compute(
    error: Exception, reason: str, hopper: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "/opt/cc")
    hopper(_fail(error))
    assert find_kernels("products", GPU) is None
    assert explain_plain(GPU) == reason


def test_lack_of_memory_is_no_fault_of_the_kernels(hopper: Callable[..., None]) -> None:
    hopper(_fail(torch.OutOfMemoryError("CUDA out of memory")))
    with pytest.raises(torch.OutOfMemoryError):
        find_kernels("products", GPU)
    tried: list[torch.device] = []
    hopper(tried.append)
    assert explain_plain(GPU) is None
    assert tried


@pytest.mark.parametrize(
    ("names", "value", "reason"),
    [
        ((torch.version, "hip"), "6.4", "they are for GPUs by NVIDIA"),
        (
            (torch.cuda, "get_device_capability"),
            lambda device: (7, 5),
            "they need tensor cores that take tf32, as GPUs have from Ampere on",
        ),
        ((kernels, "find_spec"), lambda name: None, "Triton is not installed"),
    ],
    ids=["AMD", "Turing", "no Triton"],
)
def test_gpus_without_kernels_are_not_tried(
    names: tuple[object, str],
    value: object,
    reason: str,
    hopper: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hopper(_fail(AssertionError("tried")))
    monkeypatch.setattr(*names, value)
    assert explain_plain(GPU) == reason


@pytest.fixture(scope="module")
def interpreted() -> Iterator[dict[str, ModuleType]]:
    pytest.importorskip("triton", reason="not run: Triton is not installed")
    from kernels_in_the_interpreter import interpret

    with interpret("products", "pooling", "trial") as modules:
        yield modules


def test_the_trial_passes_in_the_interpreter(interpreted: dict[str, ModuleType]) -> None:
    interpreted["trial"].try_kernels(torch.device("cpu"))


@pytest.mark.parametrize(
    ("module", "function", "what"),
    [
        ("products", "multiply", "forward"),
        ("products", "pass_back", "error"),
        ("products", "correlate", "gradient"),
        ("pooling", "max_pool", "maximum"),
    ],
)
def test_the_trial_sees_a_wrong_number(
    module: str,
    function: str,
    what: str,
    interpreted: dict[str, ModuleType],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel = getattr(interpreted[module], function)

    def err(*values: Any, **others: Any) -> Any:
        found = kernel(*values, **others)
        (found[0] if isinstance(found, tuple) else found)[-1, -1, -1, -1] += 1
        return found

    monkeypatch.setattr(interpreted[module], function, err)
    with pytest.raises(RuntimeError, match=rf"wrong numbers here \({what}\)"):
        interpreted["trial"].try_kernels(torch.device("cpu"))
