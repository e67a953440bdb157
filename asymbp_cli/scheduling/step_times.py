"""How long the training steps of stacks take: as they were measured, and by these for kinds that were not."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import log

from asymbp_cli.scheduling.estimate import FORWARD
from asymbp_cli.scheduling.multiplications import scheme_flop_per_sample
from asymbp_cli.specs.runs import StepKind


@dataclass(frozen=True)
class StepTimes:
    """Seconds of a step of a stack, by the kind of its steps and the number of its runs."""

    device: str  # cpu, cuda or mps
    model: str  # of the processor or GPU
    origin: str  # "measured" here, or the file that they were read from
    memory: int | None  # bytes that the device has, or that are free if it is this machine's; None: not known
    seconds: Mapping[StepKind, Mapping[int, float]]

    def stack_seconds(self, kind: StepKind, replicas: int) -> float:
        """Return the seconds of a step of a stack of `replicas`.

        Kinds that were not measured take as long for each FLOP as the nearest one; if they train the last layer
        only, and that all, they take a third: they go forward, but not back.
        """
        nearest = self.nearest(kind)
        share = FORWARD if kind.train == "top" != nearest.train else 1.0
        return share * _interpolate(self.seconds[nearest], replicas) * _flop(kind) / _flop(nearest)

    def nearest(self, kind: StepKind) -> StepKind:
        """Return the measured kind that is most like another one: first in its network, last in FLOP."""

        def distance(other: StepKind) -> tuple[bool, bool, bool, bool, bool, float]:
            return (
                other.precision != kind.precision,
                not is_alike(other, kind),
                other.batch_norm != kind.batch_norm,
                other.train != kind.train,
                _work(other) != _work(kind),
                abs(log(_flop(other) / _flop(kind))),
            )

        return min(self.seconds, key=distance)

    def knows(self, kind: StepKind) -> bool:
        """Return whether steps of its network, scheme and update rule were measured, and in its precision."""
        nearest = self.nearest(kind)
        same = (nearest.precision, *_work(nearest)) == (kind.precision, *_work(kind))
        return same and is_alike(nearest, kind)


def is_alike(one: StepKind, other: StepKind) -> bool:
    """Return whether the networks of two kinds differ in the widths of their layers at most."""
    return (one.network.input, len(one.network.layers)) == (other.network.input, len(other.network.layers))


def _work(kind: StepKind) -> tuple[str, str, tuple[str, ...]]:
    """Return the parts of a kind that decide the work of a step in given layers."""
    return kind.scheme, kind.update, kind.plugins


def _flop(kind: StepKind) -> int:
    return scheme_flop_per_sample(kind.network, kind.scheme) * kind.batch_size


def _interpolate(measured: Mapping[int, float], replicas: int) -> float:
    """Return the seconds at `replicas`: on a line between the sizes next to it, beyond the largest in proportion.

    A stack that is smaller than all of them takes as long as the smallest.
    """
    sizes = sorted(measured)
    for low, high in pairwise(sizes):
        if low <= replicas <= high:
            share = (replicas - low) / (high - low)
            return measured[low] + share * (measured[high] - measured[low])
    return measured[sizes[0]] if replicas < sizes[0] else measured[sizes[-1]] * replicas / sizes[-1]
