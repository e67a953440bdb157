"""Triton kernels compile for the GPUs that PyTorch supports, and fit into their memory. No GPU is needed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from layer_cases import POOLS, draw
from small_banks import banks
from torch import Tensor

from asymbp_cli.specs.layers import Pool
from asymbp_cli.training.products import Geometry

pytest.importorskip("triton", reason="not run: Triton is not installed")
compiler = pytest.importorskip("triton.compiler", reason="not run: Triton cannot compile here")
from triton.backends.compiler import GPUTarget  # noqa: E402

from asymbp_cli.training.kernels import pooling, products, update  # noqa: E402

_TYPES = {
    torch.float32: "*fp32",
    torch.bfloat16: "*bf16",
    torch.uint8: "*u8",
    torch.int8: "*i8",
    torch.int32: "*i32",
    torch.int64: "*i64",
}
_ALIGNED = [["tt.divisibility", 16]]
#: shared memory of a program on the smallest of these GPUs
_MOST_SHARED = 99 << 10
#: layer -> features of its input and output, side of the field, padding, side of the image (1 for FC layers)
LAYERS = {
    "the first of MNIST": (1, 20, 5, 0, 28),
    "the second of MNIST": (20, 50, 5, 0, 12),
    "the third of CIFAR-10": (32, 64, 5, 2, 8),
    "FC": (90, 70, 1, 0, 1),
}
GPUS = {"Ampere": 80, "Hopper": 90, "Blackwell": 120}


class Launch(NamedTuple):
    """A kernel and what it was called with."""

    kernel: Any
    values: dict[str, Any]


class Recorder:
    """Stands for a kernel, and notes how it is launched."""

    def __init__(self, kernel: Any, launches: list[Launch]) -> None:
        self._kernel, self._launches = kernel, launches

    def __getitem__(self, grid: object) -> Callable[..., None]:
        return lambda *values, **others: self._launches.append(
            Launch(self._kernel, dict(zip(self._kernel.arg_names, values, strict=False)) | others)
        )


@pytest.fixture
def launches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Launch]:
    """The launches of all kernels, which do nothing; what is compiled of them is not kept."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    found: list[Launch] = []
    for module, names in (
        (products, ("multiply_tile", "pass_back_tile", "correlate_tile")),
        (pooling, ("pool_block", "spread_block")),
        (update, ("_advance", "_restore")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, Recorder(getattr(module, name), found))
    return found


def compile_launch(launch: Launch, capability: int) -> Any:
    """Return what a GPU would run."""
    kernel, values = launch
    signature: dict[str, str] = {}
    constants: dict[tuple[int, ...], Any] = {}
    attributes: dict[tuple[int, ...], Any] = {}
    for place, parameter in enumerate(kernel.params):
        value = values[parameter.name]
        if parameter.is_constexpr or value is None:
            signature[parameter.name], constants[place,] = "constexpr", value
        elif isinstance(value, Tensor):
            signature[parameter.name], attributes[place,] = _TYPES[value.dtype], _ALIGNED
        else:
            signature[parameter.name] = "fp32" if isinstance(value, float) else "i32"
    options = {name: values[name] for name in ("num_warps", "num_stages") if name in values}
    source = compiler.ASTSource(kernel, signature, constants, attributes)
    return compiler.compile(source, target=GPUTarget("cuda", capability, 32), options=options)


@pytest.mark.parametrize("gpu", GPUS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layer", LAYERS)
def test_products_compile(layer: str, dtype: torch.dtype, gpu: str, launches: list[Launch]) -> None:
    inputs, outputs, field, padding, side = LAYERS[layer]
    geometry, replicas = Geometry(padding=padding), 3
    W = draw(replicas, outputs, field, field, inputs).to(dtype).permute(0, 1, 4, 2, 3)
    x = draw(2, inputs * (1 if layer == "the first of MNIST" else replicas), side, side).to(dtype)
    y = products.multiply(x, W, draw(replicas, outputs).to(dtype), geometry)
    products.pass_back(y, W, (side, side), geometry)
    products.correlate(x, y, W, geometry, biased=True)
    assert len(launches) == 3
    for launch in launches:
        compiled = compile_launch(launch, GPUS[gpu])
        assert compiled.asm["cubin"]
        assert compiled.metadata.shared <= _MOST_SHARED


@pytest.mark.parametrize("gpu", GPUS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layer", POOLS, ids=str)
def test_poolings_compile(layer: Pool, dtype: torch.dtype, gpu: str, launches: list[Launch]) -> None:
    x = draw(2, 12, 13, 13).to(dtype).requires_grad_()
    y = pooling.max_pool(x, layer)
    y.backward(torch.zeros_like(y))
    assert len(launches) == 2
    for launch in launches:
        assert compile_launch(launch, GPUS[gpu]).asm["cubin"]


@pytest.mark.parametrize("gpu", GPUS)
@pytest.mark.parametrize("precision", ["standard", "bf16"])
def test_updates_compile(precision: str, gpu: str, launches: list[Launch]) -> None:
    bank, _ = banks(("uSF+BM", "brSF+BM3", "RndF"), precision=precision)
    update.advance(bank)
    assert len(launches) >= 2
    for launch in launches:
        assert compile_launch(launch, GPUS[gpu]).asm["cubin"]
