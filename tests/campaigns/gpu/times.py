"""Milliseconds of a stack's step, by size and precision, captured and plain; and of loops of plain PyTorch."""

import time
from typing import Any, NamedTuple

import torch
from common import DEVICE, GPU, Budget, save, show, sync

from asymbp_cli.bench.loops import UserLoop, iterate_resident
from asymbp_cli.bench.steps import SIZES, Steps, make_random_data
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs.protocol import Precision
from asymbp_cli.training.device import open_device, set_precision

_COUNTS = (64, 1, 16, 4, 32, 8, 2)
_NETWORKS = ("mnist", "cifar")


class _Case(NamedTuple):
    network: str
    replicas: int
    precision: Precision
    graphs: bool


def _cases() -> list[_Case]:
    """Return what to time, the most wanted first."""
    if not GPU:
        return [_Case("mnist", 1, "standard", False), _Case("mnist", 2, "standard", True)]
    precisions: tuple[Precision, ...] = ("standard", "bf16", "fp32")
    found = [_Case(key, n, p, True) for n in _COUNTS[:2] for key in _NETWORKS for p in precisions]
    found += [_Case(key, n, "standard", False) for key in _NETWORKS for n in (1, 64)]
    found += [_Case(key, n, "standard", True) for n in _COUNTS[2:] for key in _NETWORKS]
    found += [_Case(key, n, p, True) for n in _COUNTS[2:] for key in _NETWORKS for p in precisions[1:]]
    return found + [_Case(key, n, p, False) for key in _NETWORKS for p in precisions for n in (4, 16)]


def _time(case: _Case, device: torch.device, seconds: float = 0.12) -> dict[str, Any]:
    before, began = torch.cuda.memory_reserved() if GPU else 0, time.perf_counter()
    made = Steps(case.network, ["uSF"] * case.replicas, device, precision=case.precision, graphs=case.graphs)
    step, batches = made.trainer.step, made.batches
    sync()
    set_up = time.perf_counter() - began

    def run(count: int) -> tuple[float, float]:
        """Return the seconds that asking for a step takes, and that a step takes."""
        sync()
        began = time.perf_counter()
        for k in range(count):
            step(batches[k % len(batches)])
        asked = time.perf_counter() - began
        sync()
        return asked / count, (time.perf_counter() - began) / count

    count = max(2, min(400, round(seconds / run(1)[1])))
    asked, whole = sorted((run(count) for _ in range(3)), key=lambda pair: pair[1])[1]
    return {
        **case._asdict(),
        "ms": 1e3 * whole,
        "host ms": 1e3 * asked,  # near ms: the CPU is the limit
        "us per replica": 1e6 * whole / case.replicas,
        "TFLOP/s": made.flop * case.replicas / whole / 1e12,
        "GiB": (torch.cuda.memory_reserved() - before) / 2**30 if GPU else 0.0,
        "s to set up": set_up,  # with compiling and the capture
    }


def _loop(compiled: bool, device: torch.device) -> dict[str, Any]:
    """Time a loop of plain PyTorch that trains one network on resident data."""
    set_precision(device, "standard")
    data = make_random_data(NETWORKS["mnist"].resolve(10), *SIZES["mnist"], device)
    loop = UserLoop(iterate_resident(data), device, torch.channels_last, compiled=compiled)
    loop.measure(20 if GPU else 1)
    ms = 1e3 * sorted(loop.measure(100 if GPU else 2) for _ in range(3))[1]
    return {"network": "mnist", "loop": "torch.compile" if compiled else "eager", "ms": ms}


def times(seconds: float) -> bool:
    """Time everything that there is time for; return whether nothing failed."""
    budget, device, rows = Budget(seconds), open_device(DEVICE), list[dict[str, Any]]()
    torch.backends.cudnn.benchmark = True  # for the loops
    plan: list[_Case | bool] = [*_cases()]
    plan.insert(12, False)  # the loop, after the largest and smallest stacks
    plan += [True] if GPU else []  # compiling takes long
    for case in plan:
        if budget.left < 4:
            print("times: no time left for", case, flush=True)
            break
        try:
            rows.append(_loop(case, device) if isinstance(case, bool) else _time(case, device))
        except Exception as error:
            rows.append({"case": str(case), "error": f"{type(error).__name__}: {error}"[:300]})
        show("time", rows[-1])
        save("times", rows)
        if GPU:
            torch.cuda.empty_cache()
    return bool(rows) and not any("error" in row for row in rows)
