"""Schedules played in advance: cases worked by hand, and what holds of every schedule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asymbp_cli.scheduling.simulation import Conditions, Schedule, simulate

seconds = st.lists(st.floats(0.5, 500), min_size=1, max_size=30)
workers = st.integers(1, 12)
starts = st.floats(0, 30)
failures = st.floats(0, 60)
seeds = st.integers(0, 9)


@pytest.mark.parametrize(
    ("stacks", "count", "start", "makespan"),
    [
        ([5.0], 1, 0, 5),
        ([5.0], 3, 0, 5),
        ([5.0, 4.0, 3.0], 1, 0, 12),
        ([5.0, 4.0, 3.0, 3.0], 2, 0, 8),  # 5 + 3 and 4 + 3
        ([9.0, 4.0, 3.0, 2.0], 2, 0, 9),  # 9 and 4 + 3 + 2
        ([2.0, 2.0, 9.0], 2, 0, 11),  # the longest last
        ([5.0, 4.0], 2, 10, 15),
        ([5.0, 4.0, 3.0], 2, 10, 17),  # a worker starts once
    ],
)
def test_without_failures_it_goes_as_worked_by_hand(
    stacks: list[float], count: int, start: float, makespan: float
) -> None:
    schedule = simulate(stacks, count, Conditions(start=start))
    used = min(count, len(stacks))
    assert schedule == Schedule(count, makespan, sum(stacks), 0, start * used, 0)
    assert schedule.held == count * makespan
    assert schedule.utilization == pytest.approx(sum(stacks) / (count * makespan))


@pytest.mark.parametrize(
    ("stacks", "count", "makespan"),
    [([5.0], 2, 15), ([5.0, 4.0], 2, 15), ([5.0, 4.0, 3.0], 2, 27), ([5.0, 4.0, 3.0], 1, 42)],
)
def test_each_job_starts(stacks: list[float], count: int, makespan: float) -> None:
    schedule = simulate(stacks, count, Conditions(start=10, jobs=True))
    assert schedule == Schedule(count, makespan, sum(stacks), 0, 10 * len(stacks), 0)


def test_what_is_left_of_a_job_is_another_job(monkeypatch: pytest.MonkeyPatch) -> None:
    lasts = iter([150.0, 1e9])
    monkeypatch.setattr("random.Random.expovariate", lambda self, rate: next(lasts) / 3600)
    schedule = simulate([300.0], 1, Conditions(start=10, jobs=True, failures=1))
    assert schedule == Schedule(1, 10 + 150 + 10 + 180, 300, 30, 20, 1, attempts=2)


def test_nothing_to_do_takes_no_time() -> None:
    assert simulate([], 3) == Schedule(3, 0, 0, 0, 0, 0)
    assert simulate([], 3).utilization == 1


@given(seconds, workers, starts, failures, seeds)
def test_no_schedule_is_shorter_than_its_work(
    stacks: list[float], count: int, start: float, rate: float, seed: int
) -> None:
    schedule = simulate(stacks, count, Conditions(start=start, failures=rate, seed=seed))
    least = max((schedule.trained + schedule.lost) / count, max(stacks) + start)
    assert schedule.makespan >= least - 1e-6
    assert 0 < schedule.utilization <= 1 + 1e-9


@given(seconds, workers, starts, failures, seeds)
def test_what_is_trained_is_what_there_was(
    stacks: list[float], count: int, start: float, rate: float, seed: int
) -> None:
    """Whatever fails: with one worker the parts add up to the whole, and a failure loses no more than a minute."""
    conditions = Conditions(start=start, failures=rate, seed=seed)
    alone = simulate(stacks, 1, conditions)
    assert alone.makespan == pytest.approx(alone.trained + alone.lost + alone.started)
    assert alone.started == pytest.approx(start * (1 + alone.failures))
    several = simulate(stacks, count, conditions)
    assert several.trained == alone.trained == sum(stacks)
    assert several.lost <= 60 * several.failures
    assert (several.lost == 0) == (several.failures == 0)


@given(seconds, workers, workers)
def test_more_workers_are_never_slower_by_more_than_the_longest_stack(
    stacks: list[float], fewer: int, more: int
) -> None:
    few, many = (simulate(stacks, fewer + extra).makespan for extra in (0, more))
    assert many <= few + max(stacks) + 1e-6


@given(seconds, workers)
def test_no_worker_is_idle_while_a_stack_waits(stacks: list[float], count: int) -> None:
    """Graham's bound of 1969, which holds of any order."""
    bound = sum(stacks) / count + (1 - 1 / count) * max(stacks)
    assert simulate(stacks, count).makespan <= bound + 1e-6


def test_a_failure_costs_the_time_since_the_last_checkpoint_and_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    lasts = iter([150.0, 1e9, 1e9])  # seconds until the worker of each taken stack fails
    monkeypatch.setattr("random.Random.expovariate", lambda self, rate: next(lasts) / 3600)
    schedule = simulate([300.0], 1, Conditions(start=10, failures=1))
    assert schedule == Schedule(1, 10 + 150 + 10 + 180, 300, 30, 20, 1, attempts=2)  # 120 are kept


def test_what_is_left_of_a_stack_goes_on_at_once_on_an_idle_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    lasts = iter([150.0, 1e9, 1e9])
    monkeypatch.setattr("random.Random.expovariate", lambda self, rate: next(lasts) / 3600)
    schedule = simulate([300.0, 20.0], 2, Conditions(start=10, failures=1))
    assert schedule == Schedule(2, 10 + 150 + 180, 320, 30, 30, 1, attempts=2)


def test_failures_are_the_same_every_time_and_others_by_another_seed() -> None:
    stacks = [500.0] * 40
    first, again, other = (simulate(stacks, 4, Conditions(failures=5, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other
    hours = (first.trained + first.lost) / 3600
    assert first.failures == pytest.approx(5 * hours, rel=0.5)
