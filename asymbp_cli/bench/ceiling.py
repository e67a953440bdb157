"""The engine against the machine's limit: the rate of its steps relative to that of matrix products."""

import time
from collections.abc import Callable

import torch

from asymbp_cli.bench.measure import Measure, measure_interleaved
from asymbp_cli.bench.steps import SIZES, Steps, repeat_for, wait
from asymbp_cli.training.device import open_device, set_precision, threads

MATMUL = "matrix product"
_SIDE = {"cpu": 1024, "cuda": 8192, "mps": 2048}


def measure_ceiling(device_name: str, *, replicas: int, rounds: int, seconds: float = 0.3) -> list[Measure]:
    """Return seconds per GFLOP of square matrix products and of a training step of each network of Table 1.

    A ratio of 2 means half the rate of the products. FLOP are counted from the layer shapes; normalization,
    updates and feedback weights count as none. The CPU uses one thread. Each candidate runs for about `seconds` a
    round.
    """
    device = open_device(device_name)
    set_precision(device, "standard")
    with threads(1):
        candidates = {MATMUL: _product(device, seconds)}
        for key in SIZES:
            count = 1 if key == "large" and device.type == "cpu" else replicas  # whose step takes seconds
            candidates[key] = _training(Steps(key, ["uSF"] * count, device), seconds)
        return measure_interleaved(candidates, rounds)


def _product(device: torch.device, seconds: float) -> Callable[[], float]:
    side = _SIDE[device.type]
    a, b = (torch.randn(side, side, device=device) for _ in range(2))

    def run() -> float:
        wait(device)
        began, count = time.perf_counter(), 0
        while count == 0 or time.perf_counter() - began < seconds:
            for _ in range(4):
                a @ b
            wait(device)
            count += 4
        return (time.perf_counter() - began) / (count * 2 * side**3 / 1e9)

    return run


def _training(steps: Steps, seconds: float) -> Callable[[], float]:
    run = repeat_for(seconds, steps.measure, steps.replicas)
    return lambda: run() / (steps.flop / 1e9)
