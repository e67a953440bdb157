"""Measures the forms of every layer of Table 1, as far as memory and time allow."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import prod
from typing import Any

import torch

from asymbp_cli.bench.layer_cases import BATCH, WeightedLayer, list_layers, make_case
from asymbp_cli.bench.layer_forms import BRANCHES, UNFOLD, MakeForm, list_forms_on
from asymbp_cli.bench.measure import FormComparison, measure_interleaved
from asymbp_cli.bench.steps import repeat_for, wait
from asymbp_cli.training.device import open_device, set_precision, threads

_GIB = 1 << 30
_CPU_BYTES = 2 * _GIB  # of a form's tensors
_CUDA_SHARE = 7  # forms and inputs that exist at once


@dataclass(frozen=True)
class _Limits:
    """How a layer is measured: `seconds` per form and round; no form whose first call takes over `slowest`."""

    replicas: int
    rounds: int
    seconds: float
    slowest: float


def compare_forms(
    device_name: str,
    *,
    replicas: int,
    rounds: int,
    seconds: float = 0.05,
    slowest: float = 2.0,
    layers: Sequence[WeightedLayer] | None = None,
) -> Iterator[FormComparison]:
    """Yield the forms of every layer of Table 1 (or of `layers`), at batch 100; the CPU uses one thread.

    A form is left out if it takes more than 2 GiB (on CUDA, a seventh of the free memory). It is also left out if
    its first call takes longer than `slowest` seconds. Each form runs for about `seconds` a round. Raises
    DeviceError.
    """
    device = open_device(device_name)
    set_precision(device, "standard")
    limits = _Limits(replicas, rounds, seconds, slowest)
    with threads(1), _current(device):
        for layer in list_layers() if layers is None else layers:
            yield _compare(layer, device, limits)


def _compare(layer: WeightedLayer, device: torch.device, limits: _Limits) -> FormComparison:
    forms = list_forms_on(device, layer.layer)
    skipped = _without_room(layer, device, forms, limits.replicas)
    if device.type != "cuda":
        skipped[BRANCHES] = f"only CUDA has graphs, this is {device.type}"
    if next(iter(forms)) in skipped:  # the reference
        return FormComparison(layer.name, [], skipped)
    case = make_case(layer, limits.replicas, device)
    candidates: dict[str, Callable[[], float]] = {}
    for name, make in forms.items():
        if name in skipped:
            continue
        run = make(case).run
        first_call = _first_call(run, device)
        if first_call > limits.slowest and candidates:
            skipped[name] = f"a call takes longer than {limits.slowest:g} s"
        else:
            candidates[name] = _timer(run, device, limits)
    return FormComparison(layer.name, measure_interleaved(candidates, limits.rounds), skipped)


def _without_room(
    layer: WeightedLayer, device: torch.device, forms: Mapping[str, MakeForm], replicas: int
) -> dict[str, str]:
    """Return the forms that need more memory than a form may take, each with this reason."""
    room = _room(device)
    needs = {name: _bytes(layer, name, replicas) for name in forms}
    return {
        name: f"needs {need / _GIB:.1f} GiB of memory, more than the {room / _GIB:.1f} GiB that a form may take"
        for name, need in needs.items()
        if need > room
    }


def _first_call(run: Callable[[], Any], device: torch.device) -> float:
    """Return the seconds of a call that chooses algorithms and allocates memory."""
    began = time.perf_counter()
    run()
    wait(device)
    return time.perf_counter() - began


def _timer(run: Callable[[], Any], device: torch.device, limits: _Limits) -> Callable[[], float]:
    """Return a function that measures the seconds of a replica's share of `run`."""

    def measure(count: int) -> float:
        wait(device)
        began = time.perf_counter()
        for _ in range(count):
            run()
        wait(device)
        return (time.perf_counter() - began) / count / limits.replicas

    return repeat_for(limits.seconds, measure, limits.replicas)


def _bytes(layer: WeightedLayer, form: str, replicas: int) -> int:
    """Return the bytes of a form's inputs and results, and of unfolded inputs and gradients if it has them."""
    after, weights = layer.layer.output(layer.shape), prod(layer.layer.weight_shape(layer.shape))
    numbers = 2 * BATCH * (prod(layer.shape) + prod(after)) + 3 * weights
    if form == UNFOLD:
        numbers += (1 if layer.first else 2) * BATCH * prod(after[:2]) * (weights // layer.layer.features)
    return replicas * numbers * 4


def _room(device: torch.device) -> int:
    """Return the bytes that the tensors of a form may take."""
    if device.type != "cuda":
        return _CPU_BYTES
    torch.cuda.empty_cache()  # graphs of the previous layer
    return int(torch.cuda.mem_get_info(device)[0]) // _CUDA_SHARE


def _current(device: torch.device) -> AbstractContextManager[object]:
    """Make a CUDA device the current one, on which graphs are captured."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
