"""The seconds of a study's training steps, measured on random data, so that no dataset has to be decoded."""

from collections.abc import Iterable

from asymbp_cli.bench.steps import make_random_data
from asymbp_cli.specs.runs import Run, StepKind, representatives
from asymbp_cli.training.device import open_device, threads
from asymbp_cli.training.timing import seconds_per_step

_MOST_FLOP = 1e10  # of a step that is measured; a larger mini-batch is cut, and its time counted in proportion
_FEWEST_STEPS, _MOST_STEPS = 3, 15  # as many as have _MOST_FLOP together, within these bounds


def time_steps(runs: Iterable[Run], device: str) -> dict[StepKind, float]:
    """Return the seconds of a training step of each kind of `runs`; on the CPU on one thread, as in training.

    Of networks that differ only in the widths of their layers, as for other numbers of classes, one is measured.
    The others take as long for each FLOP. Raises DeviceError if the device cannot be used, or has not the memory.
    """
    seconds, rates = dict[StepKind, float](), dict[object, float]()  # rates: seconds per FLOP
    with threads(1):
        for kind, run in representatives(runs).items():
            flop = kind.network.flop_per_sample() * kind.batch_size
            _, *other_facts = kind
            alike = kind.network.input, len(kind.network.layers), *other_facts
            if alike not in rates:
                rates[alike] = _time_step(kind, run, device) / flop
            seconds[kind] = rates[alike] * flop
    return seconds


def _time_step(kind: StepKind, run: Run, device: str) -> float:
    flop = kind.network.flop_per_sample()
    size = min(kind.batch_size, max(2, int(_MOST_FLOP / flop)))  # BN needs two
    steps = min(_MOST_STEPS, max(_FEWEST_STEPS, int(_MOST_FLOP / (flop * size))))
    protocol = run.protocol.model_copy(update={"batch_size": size, "validation_fraction": 0.0})
    (classes,) = kind.network.shapes()[-1]
    data = make_random_data(kind.network, classes, (steps + 1) * size, open_device(device))
    cut = run.model_copy(update={"protocol": protocol})
    return seconds_per_step(cut, data, device=device, steps=steps) * kind.batch_size / size
