"""How fast a training is here, as groups of ratios: `asymbp bench training`."""

from collections.abc import Callable, Sequence

from asymbp_cli.bench.ceiling import measure_ceiling
from asymbp_cli.bench.loops import measure_loops, measure_resident_loop
from asymbp_cli.bench.measure import Measure
from asymbp_cli.bench.ratios import (
    measure_batch_sizes,
    measure_methods,
    measure_precisions,
    measure_schemes,
    measure_stack_sizes,
)

_STACK_SIZES = {"cpu": (1, 2, 4, 8), "cuda": (1, 4, 16, 64), "mps": (1, 4, 16)}


def measure_training(
    device: str,
    *,
    workers: int,
    replicas: int,
    rounds: int,
    steps: int,
    on_group: Callable[[str], None] = lambda group: None,
) -> dict[str, Sequence[Measure]]:
    """Return all measures of training steps, by group; `on_group` is told which one is measured next."""
    seconds = steps / 30
    sizes = _STACK_SIZES[device.partition(":")[0]]
    measure: dict[str, Callable[[], Sequence[Measure]]] = {
        "overhead": lambda: measure_methods(device, replicas=replicas, rounds=rounds, steps=max(steps // 2, 1)),
        "schemes": lambda: measure_schemes(device, replicas=replicas, rounds=rounds, steps=max(steps // 4, 1)),
        "scaling": lambda: measure_stack_sizes(device, sizes, rounds=rounds, seconds=seconds),
        "growth": lambda: measure_batch_sizes(device, replicas=replicas, rounds=rounds, steps=steps),
        "precision": lambda: measure_precisions(device, replicas=replicas, rounds=rounds, seconds=seconds),
        "ceiling": lambda: measure_ceiling(device, replicas=replicas, rounds=rounds, seconds=seconds),
    }
    if device == "cpu":
        measure["loops"] = lambda: measure_loops(workers=workers, replicas=replicas, rounds=rounds, steps=steps)
    else:
        measure["loops"] = lambda: measure_resident_loop(device, replicas=replicas, rounds=rounds, steps=steps)
    groups = {}
    for group, measure_group in measure.items():
        on_group(group)
        groups[group] = measure_group()
    return groups
