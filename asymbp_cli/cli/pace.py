"""How long a study still takes: what was predicted, corrected by what its epochs have taken so far."""

from dataclasses import dataclass, field

_TRUSTED_SECONDS = 30.0  # of a worker: how much measured time weighs as much as the prediction, at most
_TRUSTED_SHARE = 0.05  # the same, as a share of all work


@dataclass
class Pace:
    """Seconds that workers have trained for, beside the seconds that were predicted for the same work.

    A stack counts from the moment that it trains: neither the start of its worker nor waiting is pace. As every
    worker is timed while the others are busy, the pace is that of all of them together.
    """

    predicted_seconds: float  # of all work, added up over workers
    measured: float = 0.0
    predicted: float = 0.0
    _marks: dict[str, float] = field(default_factory=dict)  # stack -> up to when it is measured
    _inside: dict[str, float] = field(
        default_factory=dict
    )  # stack -> predicted seconds of its epoch that are done

    def begin(self, stack: str, now: float) -> None:
        """Measure a stack from now on."""
        self._marks[stack], self._inside[stack] = now, 0.0

    def advance(self, stack: str, now: float, predicted: float) -> None:
        """Note that so many predicted seconds of a stack's epoch are done."""
        self._count(stack, now, predicted - self._inside.get(stack, 0.0))
        self._inside[stack] = predicted

    def end_epoch(self, stack: str, now: float, predicted: float) -> None:
        """Note that a run of a stack has ended an epoch, for which so many seconds were predicted."""
        done = min(self._inside.get(stack, 0.0), predicted)
        self._count(stack, now, predicted - done)
        self._inside[stack] = self._inside.get(stack, 0.0) - done

    def _count(self, stack: str, now: float, predicted: float) -> None:
        self.measured += now - self._marks.get(stack, now)
        self.predicted += predicted
        self._marks[stack] = now

    @property
    def inside(self) -> float:
        """Return the predicted seconds of epochs that have not ended which are done."""
        return sum(self._inside.values())

    def end(self, stack: str) -> None:
        """Measure a stack no more."""
        self._inside.pop(stack, None)
        self._marks.pop(stack, None)

    @property
    def slowness(self) -> float:
        """Return how many times as long as predicted work takes; close to 1 before much is measured."""
        trusted = min(_TRUSTED_SECONDS, _TRUSTED_SHARE * self.predicted_seconds)
        total = trusted + self.predicted
        return (trusted + self.measured) / total if total else 1.0
