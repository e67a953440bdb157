"""Triton kernels compile for the GPUs that PyTorch supports, and fit into their memory. No GPU is needed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from layer_cases import POOLS, draw
from small_banks import banks

from asymbp_cli.specs.layers import Pool
from asymbp_cli.training.products import Geometry

pytest.importorskip("triton", reason="not run: Triton is not installed")
import compiled_kernels
from compiled_kernels import compile_launch

from asymbp_cli.training.kernels import pooling, products, update

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


@pytest.fixture
def launches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The launches of all kernels, which do nothing; what is compiled of them is not kept."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    with compiled_kernels.note_launches() as found:
        yield found


@pytest.mark.parametrize("gpu", GPUS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layer", LAYERS)
def test_products_compile(layer: str, dtype: torch.dtype, gpu: str, launches: list[Any]) -> None:
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


@pytest.mark.parametrize(
    ("replicas", "samples", "geometry"),
    [(1, 1, Geometry()), (1, 1, Geometry(padding=1)), (2, 1, Geometry(3, 1, 2, 2)), (2, 3, Geometry(2))],
    ids=str,
)
@pytest.mark.parametrize("large", [False, True], ids=["places of 32 bits", "places of 64 bits"])
def test_products_of_odd_stacks_compile(
    replicas: int,
    samples: int,
    geometry: Geometry,
    large: bool,
    launches: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(products, "_LARGE", 0 if large else 2**30)
    monkeypatch.setattr(products, "_choose_precision", lambda: "tf32x3" if large else "tf32")
    W = draw(replicas, 4, 5, 3, 2)
    x = draw(samples, 5 * geometry.groups * replicas, 3, 8)
    y = products.multiply(x, W, None, geometry)
    products.pass_back(y, W, (3, 8), geometry)
    products.correlate(x, y, W, geometry, biased=False)
    assert len(launches) == 3
    for launch in launches:
        assert compile_launch(launch, GPUS["Hopper"]).asm["cubin"]


@pytest.mark.parametrize("gpu", GPUS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layer", POOLS, ids=str)
def test_poolings_compile(layer: Pool, dtype: torch.dtype, gpu: str, launches: list[Any]) -> None:
    x = draw(2, 12, 13, 13).to(dtype).requires_grad_()
    y = pooling.max_pool(x, layer)
    y.backward(torch.zeros_like(y))
    assert len(launches) == 2
    for launch in launches:
        assert compile_launch(launch, GPUS[gpu]).asm["cubin"]


@pytest.mark.parametrize("gpu", GPUS)
@pytest.mark.parametrize("precision", ["standard", "bf16"])
@pytest.mark.parametrize("methods", [("uSF+BM", "brSF+BM3", "RndF"), ("uSF+Adam", "RndF+Adam")], ids="/".join)
def test_updates_compile(methods: tuple[str, ...], precision: str, gpu: str, launches: list[Any]) -> None:
    bank, _ = banks(methods, precision=precision)
    update.advance(bank)
    assert len(launches) >= 2
    for launch in launches:
        assert compile_launch(launch, GPUS[gpu]).asm["cubin"]
