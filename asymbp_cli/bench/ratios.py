"""Steps of the MNIST network under different methods, stack sizes, mini-batches and precisions, as ratios."""

from collections.abc import Callable, Sequence

import torch

from asymbp_cli.bench.measure import Measure, measure_interleaved
from asymbp_cli.bench.steps import SIZES, Steps, make_random_data, repeat_for, time_steps
from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs.protocol import Precision
from asymbp_cli.training.device import open_device, threads

#: the reference, methods without BN, and methods with it
_METHODS = ("SGD", "uSF", "NuSF", "brSF", "brSF-50%", "frSF", "frSF-50%", "RndF", "BM", "BN", "uSF+BN")
#: the reference, and schemes whose V learns or comes from the output
_SCHEMES = ("SGD", "FA", "KP", "WM", "PFA-o", "PFA", "DFA", "DKP")
#: samples of a mini-batch; the paper's, which is the reference, first
_BATCH_SIZES = (100, 25, 50, 200, 500)
_PRECISIONS: dict[str, Precision] = {"fp32": "standard", "bf16": "bf16"}
_CUDA_PRECISIONS: dict[str, Precision] = {"tf32": "standard", "fp32": "fp32", "bf16": "bf16"}


def measure_methods(device_name: str, *, replicas: int, rounds: int, steps: int) -> list[Measure]:
    """Return the step of each scheme, and of BN, relative to plain backpropagation's. The CPU uses one thread."""
    return _measure(_METHODS, device_name, replicas=replicas, rounds=rounds, steps=steps)


def measure_schemes(device_name: str, *, replicas: int, rounds: int, steps: int) -> list[Measure]:
    """Return the step of learned and direct schemes, relative to plain backpropagation's."""
    return _measure(_SCHEMES, device_name, replicas=replicas, rounds=rounds, steps=steps)


def _measure(methods: Sequence[str], device_name: str, *, replicas: int, rounds: int, steps: int) -> list[Measure]:
    device = open_device(device_name)
    data = _mnist_data(device)
    with threads(1):
        stacks = {name: Steps("mnist", [name] * replicas, device, data) for name in methods}
        return measure_interleaved({name: time_steps(stack, steps) for name, stack in stacks.items()}, rounds)


def measure_stack_sizes(device_name: str, counts: Sequence[int], *, rounds: int, seconds: float) -> list[Measure]:
    """Return a replica's step in stacks of several sizes, relative to that in a stack of one.

    Each size runs for about `seconds` a round.
    """
    device = open_device(device_name)
    data = _mnist_data(device)
    with threads(1):
        candidates = {}
        for count in counts:
            stack = Steps("mnist", ["uSF"] * count, device, data)
            candidates[f"{count} replicas"] = repeat_for(seconds, stack.measure, count)
        return measure_interleaved(candidates, rounds)


def measure_batch_sizes(device_name: str, *, replicas: int, rounds: int, steps: int) -> list[Measure]:
    """Return the seconds per sample of a replica at several batch sizes, relative to those at batch 100.

    Batch 100 makes `steps` steps, the other sizes about as many as see the same number of samples.
    """
    device = open_device(device_name)
    data = _mnist_data(device)
    with threads(1):
        candidates = {}
        for batch in _BATCH_SIZES:
            stack = Steps("mnist", ["uSF"] * replicas, device, data, batch=batch)
            candidates[f"batch {batch}"] = _time_samples(stack, batch, steps)
        measures = dict(zip(_BATCH_SIZES, measure_interleaved(candidates, rounds), strict=True))
    return [measures[batch] for batch in sorted(measures)]


def _time_samples(stack: Steps, batch: int, steps: int) -> Callable[[], float]:
    count = max(1, round(steps * _BATCH_SIZES[0] / batch))
    return lambda: stack.measure(count) / batch


def measure_precisions(device_name: str, *, replicas: int, rounds: int, seconds: float) -> list[Measure]:
    """Return a step in each precision relative to the standard one, of the MNIST and the CIFAR network.

    On the CPU, with one thread, fp32 is the standard. Each candidate runs for about `seconds` a round.
    """
    device = open_device(device_name)
    precisions = _CUDA_PRECISIONS if device.type == "cuda" else _PRECISIONS
    measures: list[Measure] = []
    with threads(1):
        for key in ("mnist", "cifar"):
            candidates = {}
            for name, precision in precisions.items():
                stack = Steps(key, ["uSF"] * replicas, device, precision=precision)
                candidates[f"{key}, {name}"] = repeat_for(seconds, stack.measure, replicas)
            measures += measure_interleaved(candidates, rounds)
    return measures


def _mnist_data(device: torch.device) -> ResidentData:
    return make_random_data(NETWORKS["mnist"].resolve(10), *SIZES["mnist"], device)
