"""The seconds of a study's training steps, measured on random data, so that no dataset has to be decoded."""

from collections.abc import Callable, Iterable, Mapping

from asymbp_cli.bench.steps import make_random_data
from asymbp_cli.specs.runs import Run, StepKind, representatives
from asymbp_cli.training.device import open_device, threads
from asymbp_cli.training.timing import seconds_per_step

#: of a step that is measured; a larger mini-batch is cut, and its time counted in proportion
_MOST_FLOP = {"cpu": 1e10, "cuda": 1e13, "mps": 1e12}
_FEWEST_STEPS, _MOST_STEPS = 3, 15  # as many as have _MOST_FLOP together, within these bounds
_SIZES = (1, 4, 16, 64)  # of stacks, if a run of a larger one takes less time


def time_steps(runs: Iterable[Run], device: str) -> dict[StepKind, float]:
    """Return the seconds of a training step of each kind of `runs`; on the CPU on one thread, as in training.

    Of networks that differ only in the widths of their layers, as for other numbers of classes, one is measured.
    The others take as long for each FLOP. Raises DeviceError if the device cannot be used, or has not the memory.
    """
    return {kind: times[1] for kind, times in _time(runs, device, lambda run: (1,)).items()}


def time_stacks(
    runs: Iterable[Run], device: str, limit: Callable[[Run], int]
) -> Mapping[StepKind, Mapping[int, float]]:
    """Return the seconds of a training step of stacks of each kind of `runs`, by the number of their runs.

    A stack holds no more runs than `limit` says. On the CPU each takes as long as alone.
    """
    if device == "cpu":
        return {kind: {1: seconds} for kind, seconds in time_steps(runs, device).items()}

    def sizes(run: Run) -> tuple[int, ...]:
        return tuple(sorted({min(size, limit(run)) for size in _SIZES}))

    return _time(runs, device, sizes)


def _time(
    runs: Iterable[Run], device: str, sizes: Callable[[Run], tuple[int, ...]]
) -> dict[StepKind, dict[int, float]]:
    """Return the seconds of a step of each kind of `runs`, by the number of runs in the stack."""
    seconds, rates = dict[StepKind, dict[int, float]](), dict[object, dict[int, float]]()  # rates: of a FLOP
    with threads(1):
        for kind, run in representatives(runs).items():
            flop = kind.network.flop_per_sample() * kind.batch_size
            _, *other_facts = kind
            alike = kind.network.input, len(kind.network.layers), *other_facts
            if alike not in rates:
                rates[alike] = {size: _time_step(kind, run, device, size) / flop for size in sizes(run)}
            seconds[kind] = {size: rate * flop for size, rate in rates[alike].items()}
    return seconds


def _time_step(kind: StepKind, run: Run, device: str, replicas: int) -> float:
    flop, most = kind.network.flop_per_sample() * replicas, _MOST_FLOP[device.partition(":")[0]]
    size = min(kind.batch_size, max(2, int(most / flop)))  # BN needs two
    steps = min(_MOST_STEPS, max(_FEWEST_STEPS, int(most / (flop * size))))
    protocol = run.protocol.model_copy(update={"batch_size": size, "validation_fraction": 0.0})
    (classes,) = kind.network.shapes()[-1]
    data = make_random_data(kind.network, classes, (steps + 1) * size, open_device(device))
    cut = run.model_copy(update={"protocol": protocol})
    measured = seconds_per_step(cut, data, device=device, steps=steps, replicas=replicas)
    return measured * kind.batch_size / size
