"""Schedules of random small studies, played a second time by another method: worker by worker, without heaps."""

from dataclasses import dataclass
from math import floor
from random import Random

import pytest

from asymbp_cli.scheduling.simulation import Conditions, simulate

_NEVER = float("inf")


@dataclass
class Worker:
    """A worker, and what it has done with its time."""

    free_from: float
    ends: float = _NEVER  # of the stack that it trains
    left: float = 0.0  # of that stack, after the end
    attempt: int = 0  # at that stack
    stacks: int = 0
    trained: float = 0.0  # kept and lost
    failed: int = 0

    def take(self, now: float, seconds: float, attempt: int, survives: float, every: float) -> float:
        """Begin a stack, whose worker survives so many seconds; return the seconds that will be lost."""
        self.stacks, self.attempt = self.stacks + 1, attempt
        spent = min(seconds, survives)
        self.ends, self.trained = now + spent, self.trained + spent
        if spent == seconds:
            self.left = 0.0
            return 0.0
        kept = every * floor(spent / every) if every else spent
        self.left = seconds - kept
        return spent - kept


@dataclass
class Played:
    """What came of a schedule."""

    workers: list[Worker]
    makespan: float = 0.0
    lost: float = 0.0
    attempts: int = 1


def play(stacks: list[float], count: int, conditions: Conditions) -> Played:
    """Look at every worker at each moment at which something happens."""
    random, rate = Random(conditions.seed), conditions.failures / 3600
    waiting = [(seconds, 1) for seconds in stacks]
    once, each = (0.0, conditions.start) if conditions.jobs else (conditions.start, 0.0)
    found = Played([Worker(once) for _ in range(count)])
    while waiting or any(worker.ends < _NEVER for worker in found.workers):
        idle = [worker for worker in found.workers if worker.ends == _NEVER]
        moments = [worker.ends for worker in found.workers if worker.ends < _NEVER]
        moments += [max(found.makespan, worker.free_from) for worker in idle if waiting]
        now = min(moments)
        for worker in found.workers:
            if worker.ends == now:
                found.makespan, worker.ends, worker.free_from = now, _NEVER, now
                if worker.left:
                    worker.failed += 1
                    worker.free_from = now + once
                    waiting.insert(0, (worker.left, worker.attempt + 1))
        ready = [w for w in found.workers if w.ends == _NEVER and w.free_from <= now]
        for worker in sorted(ready, key=lambda worker: worker.free_from)[: len(waiting)]:
            seconds, attempt = waiting.pop(0)
            survives = random.expovariate(rate) if rate else _NEVER
            found.attempts = max(found.attempts, attempt)
            found.lost += worker.take(now + each, seconds, attempt, survives, conditions.checkpoint)
    return found


@pytest.mark.parametrize("number", range(120))
def test_both_ways_to_play_a_schedule_give_the_same(number: int) -> None:
    choose = Random(number)
    stacks = [choose.uniform(1, 600) for _ in range(choose.randint(1, 25))]
    count = choose.randint(1, 8)
    conditions = Conditions(
        start=choose.choice([0.0, choose.uniform(0, 40)]),
        jobs=choose.random() < 0.5,
        checkpoint=choose.choice([0.0, 60.0, choose.uniform(5, 90)]),
        failures=choose.choice([0.0, choose.uniform(0, 60)]),
        seed=number,
    )
    schedule, found = simulate(stacks, count, conditions), play(stacks, count, conditions)
    failures = sum(worker.failed for worker in found.workers)
    if conditions.jobs:
        starts = sum(worker.stacks for worker in found.workers)
    else:
        starts = sum(worker.stacks > 0 for worker in found.workers) + failures
    assert (schedule.workers, schedule.failures, schedule.attempts) == (count, failures, found.attempts)
    assert schedule.makespan == pytest.approx(found.makespan)
    assert schedule.lost == pytest.approx(found.lost)
    assert schedule.started == pytest.approx(starts * conditions.start)
    assert schedule.trained == pytest.approx(sum(worker.trained for worker in found.workers) - found.lost)
    assert schedule.held == pytest.approx(count * found.makespan)  # what is paid for
    assert schedule.utilization == pytest.approx(sum(stacks) / (count * found.makespan))


def test_the_random_studies_have_failures_of_every_kind() -> None:
    """Or the comparison would show less than it says."""
    found = [
        simulate([300.0] * 20, 4, Conditions(start=10, failures=rate, seed=seed))
        for rate in (5, 60)
        for seed in range(5)
    ]
    assert all(schedule.failures for schedule in found)
    assert max(schedule.attempts for schedule in found) > 3
