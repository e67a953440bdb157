"""A schedule played in advance: workers take stacks, start, fail and resume, event by event. No torch."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

_HOUR = 3600.0


@dataclass(frozen=True)
class Conditions:
    """What disturbs a schedule; in seconds, but for failures."""

    start: float = 0.0  # before a worker's first stack, and again after it has failed
    jobs: bool = False  # each stack is a job of a cluster, and has a worker of its own, which starts for it
    checkpoint: float = 60.0  # from one checkpoint to the next: a failure loses what came after the last
    failures: float = 0.0  # per hour in which a worker trains
    seed: int = 0  # of the failures


@dataclass(frozen=True)
class Schedule:
    """How a schedule went: seconds of all workers together, but for the makespan."""

    workers: int
    makespan: float  # from the start to the end of the last stack
    trained: float  # what stays
    lost: float  # trained in vain before failures
    started: float  # in which workers start
    failures: int
    attempts: int = 1  # at the stack that had most of them

    @property
    def held(self) -> float:
        """Return the seconds that workers are there: all of them, to the end of the last stack."""
        return self.workers * self.makespan

    @property
    def utilization(self) -> float:
        """Return the share of these seconds in which something is trained that stays."""
        return self.trained / self.held if self.held else 1.0


def simulate(stacks: Sequence[float], workers: int, conditions: Conditions | None = None) -> Schedule:
    """Play stacks of so many seconds on `workers`: one that is free takes the next of the list.

    What is left of a stack that failed is taken next, as by `executors/retry.py`.
    """
    play = _Play(deque((0.0, seconds, 1) for seconds in stacks), conditions or Conditions())
    play.ready = [(play.start_once, worker) for worker in range(workers)]
    while play.waiting or play.running:
        if play.waiting and play.ready and not (play.running and play.running[0] < play.ready[0]):
            play.begin_stack()
        else:
            play.end_stack()
    begun = len(stacks) if play.conditions.jobs else len(play.used)
    started = play.conditions.start * (begun + play.failures)
    return Schedule(workers, play.now, sum(stacks), play.lost, started, play.failures, play.attempts)


@dataclass
class _Play:
    """The state of a simulation; `ready` and `running` are heaps by time."""

    #: stacks: from when on they can be taken, their seconds, which attempt it is
    waiting: deque[tuple[float, float, int]]
    conditions: Conditions
    ready: list[tuple[float, int]] = field(default_factory=list)  # when a worker is free, and which
    #: when a stack ends, where, what is left of it, and which attempt it is
    running: list[tuple[float, int, float, int]] = field(default_factory=list)
    used: set[int] = field(default_factory=set)  # workers
    now: float = 0.0
    lost: float = 0.0
    failures: int = 0
    attempts: int = 1

    def __post_init__(self) -> None:
        self._random = Random(self.conditions.seed)

    @property
    def start_once(self) -> float:
        """Return how long a worker starts before it is free; one that starts for each stack does so later."""
        return 0.0 if self.conditions.jobs else self.conditions.start

    def begin_stack(self) -> None:
        """Let the worker that is free first take the next stack, to its end or to a failure."""
        (free, worker), (since, seconds, attempt) = heappop(self.ready), self.waiting.popleft()
        self.used.add(worker)
        self.attempts = max(self.attempts, attempt)
        began = max(free, since) + self.conditions.start - self.start_once
        rate, every = self.conditions.failures, self.conditions.checkpoint
        lasts = _HOUR * self._random.expovariate(rate) if rate else seconds
        if lasts >= seconds:
            heappush(self.running, (began + seconds, worker, 0.0, attempt))
            return
        kept = lasts - lasts % every if every else lasts
        self.lost += lasts - kept
        heappush(self.running, (began + lasts, worker, seconds - kept, attempt))

    def end_stack(self) -> None:
        """Free the worker whose stack ends next; after a failure it starts anew."""
        self.now, worker, left, attempt = heappop(self.running)
        if left:
            self.failures += 1
            self.waiting.appendleft((self.now, left, attempt + 1))
        heappush(self.ready, (self.now + (self.start_once if left else 0.0), worker))
