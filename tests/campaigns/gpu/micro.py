"""The kernels of a stack's layers one by one, with the tiles that they have and with others; and the update."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from common import DEVICE, GPU, Budget, save, sync
from layers_to_measure import LAYERS
from torch import Tensor

from asymbp_cli.bench.steps import Steps
from asymbp_cli.training import products, update
from asymbp_cli.training.cuda_graphs import CudaGraphs
from asymbp_cli.training.device import open_device, set_precision
from asymbp_cli.training.kernels import find_kernels
from asymbp_cli.training.products import Geometry

Compute = Callable[[], Any]
_REPLICAS = 64 if GPU else 2
_TILES: dict[str, dict[str, Any]] = {
    "as they are": {},
    "8 warps": {"_HOW": {"num_warps": 8, "num_stages": 3}},
    "64 rows": {"_ROWS": 64, "_PATCH": 64},
    "2 stages, twice as deep": {"_HOW": {"num_warps": 4, "num_stages": 2}, "_DEPTH": 64, "_SUMMED": 64},
    "4 stages": {"_HOW": {"num_warps": 4, "num_stages": 4}},
    "tf32 gradients": {"_SPLIT": False},
    "places of 64 bits": {"_LARGE": 0},
}


def _seconds(compute: Compute, repeat: int = 10) -> float:
    """Return the seconds of one replay of `compute`; on the CPU of a call."""
    if not GPU:
        began = time.perf_counter()
        compute()
        return time.perf_counter() - began
    graphs = CudaGraphs(torch.device(DEVICE), ())
    for _ in range(2):
        graphs.run(compute)
    replay = graphs.capture(compute)
    samples = []
    for _ in range(5):
        sync()
        began = time.perf_counter()
        for _ in range(repeat):
            replay()
        sync()
        samples.append((time.perf_counter() - began) / repeat)
    return sorted(samples)[2]


class _Notes:
    """Measures one piece after the other, until there is no time left."""

    def __init__(self, seconds: float) -> None:
        self._budget, self._rows = Budget(seconds), dict[str, float | str]()

    def take(self, name: str, measure: Callable[[], float]) -> None:
        if self._budget.left < 2:
            print(f"micro: no time left for {name}", flush=True)
            return
        try:
            self._rows[name] = 1e6 * measure()
        except Exception as error:
            self._rows[name] = f"{type(error).__name__}: {error}"[:200]
        print(f"micro {name}: {self._rows[name]} us", flush=True)
        save("micro", self._rows)

    @property
    def fine(self) -> bool:
        return bool(self._rows) and not any(isinstance(value, str) for value in self._rows.values())


def micro(seconds: float) -> bool:
    """Time the pieces; return whether none failed."""
    device, notes = open_device(DEVICE), _Notes(seconds)
    bank = Steps("mnist", ["uSF"] * _REPLICAS, device).trainer.bank
    finite = torch.ones_like(bank.alive)
    for name, kernel in {"plain": update.plain, "fused": update._kernel_of(device)}.items():
        change = partial(update.update, bank, finite, kernel)
        notes.take(f"update and V, {name}", partial(_seconds, change))
    for precision, layers, tiles in (
        ("standard", list(LAYERS)[:2], list(_TILES)),
        ("standard", list(LAYERS)[2:], ["as they are", "tf32 gradients"]),
        ("fp32", list(LAYERS)[:1], list(_TILES)[:1]),
        ("bf16", list(LAYERS)[:2], list(_TILES)[:-2]),
    ):
        set_precision(device, precision)
        for tile in tiles if GPU else tiles[:1]:
            with _with_tiles(_TILES[tile]):
                for layer in layers:
                    _layer(
                        notes,
                        layer,
                        f"{precision}, {tile}",
                        torch.bfloat16 if precision == "bf16" else torch.float32,
                    )
    return notes.fine


@contextmanager
def _with_tiles(changed: dict[str, Any]) -> Iterator[None]:
    kernels = find_kernels("products", torch.device(DEVICE))
    before = {name: getattr(kernels, name) for name in changed} if kernels else {}
    for name in before:
        setattr(kernels, name, changed[name])
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(kernels, name, value)


def _layer(notes: _Notes, name: str, how: str, dtype: torch.dtype) -> None:
    inputs, outputs, field, padding, side = LAYERS[name]
    geometry, first = Geometry(padding=padding), name.endswith("conv 1")

    def image(features: int, side: int) -> Tensor:
        drawn = torch.randn(100, side, side, features, device=DEVICE, dtype=dtype)
        return drawn.permute(0, 3, 1, 2)

    W = torch.randn(_REPLICAS, outputs, field, field, inputs, device=DEVICE, dtype=dtype).permute(0, 1, 4, 2, 3)
    x = image(inputs if first else _REPLICAS * inputs, side)
    error = image(_REPLICAS * outputs, side + 2 * padding - field + 1)
    ways: dict[str, Compute] = {
        "forward": lambda: products.multiply(x, W, None, geometry),
        "gradients": lambda: products.correlate(x, error, W, geometry, biased=True),
    }
    if not first:
        ways["error"] = lambda: products.pass_back(error, x, W, geometry)
    for way, compute in ways.items():
        notes.take(f"{name}, {way}, {how}", partial(_seconds, compute))
