"""Retries, the same for every executor: a stack that failed continues from its last checkpoints.

It does so in smaller stacks if memory ran out, without CUDA graphs if their capture failed, on another device if
its own cannot be opened, else once more. If its worker was lost, which may be no fault of the runs, it does so for
several attempts. What was learned of a kind of runs holds for its later stacks.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from asymbp_cli.events import RunFinished, WorkerFound
from asymbp_cli.executors import (
    ATTEMPTS,
    Executor,
    Failure,
    Job,
    JobEnded,
    StackFailed,
    StackStarted,
    StudyEvent,
)
from asymbp_cli.specs.runs import Run, Stack, StepKind, step_kind
from asymbp_cli.training.resume import saved_epochs

#: what the next attempt at a job does differently
SMALLER, PLAINLY, AGAIN = "in smaller stacks", "without CUDA graphs", "once more"
ELSEWHERE, ONWARDS = "on another device", "from where they were saved"


def supervise(
    executor: Executor, jobs: Iterable[Job], attempts: int = ATTEMPTS, adopted: Iterable[Job] = ()
) -> Iterator[StudyEvent]:
    """Train `jobs`, and yield what happens until every run has finished or failed for good.

    Runs whose workers are lost have so many `attempts` in all. Jobs that the executor has `adopted` train already,
    and resume from their checkpoints. Raises AsymbpError as a job does, and that of a machine if no other has
    trained. Cancelling the executor is left to the caller.
    """
    waiting, retries = deque(jobs), Retries(executor.fresh_processes, attempts)
    running, finished, trained = 0, set[str](), False
    for job in adopted:
        running += 1
        yield from map(_announce, resumable_jobs(job, {run.id: run for run in job.stack.runs}))
    while True:
        while waiting and executor.has_room:
            job, *others = retries.divide(waiting.popleft())
            waiting.extendleft(reversed(others))
            running += 1
            yield _announce(job)
            executor.submit(job)
        if not running:
            return
        ended = False
        for event in executor.events():
            if not isinstance(event, JobEnded):
                trained = trained or isinstance(event, WorkerFound)
                if isinstance(event, RunFinished):
                    finished.add(event.run)
                yield event
                continue
            if event.error and not trained:
                raise event.error
            running, ended = running - 1, True
            runs = {run.id: run for run in event.job.stack.runs if run.id not in finished}
            if event.failure and runs:
                failed, next_jobs = retries.decide(event.job, runs, event.failure)
                waiting.extendleft(reversed(next_jobs))
                yield failed
        if not ended:
            raise RuntimeError("an executor has no more events, though its jobs have not ended")


def _announce(job: Job) -> StackStarted:
    return StackStarted(job.stack.id, tuple(run.id for run in job.stack.runs), job.stack.start_epoch)


class Retries:
    """What failures have shown: how many runs of a kind fit into memory, which cannot be captured, which failed.

    Without `fresh_processes` a job that failed otherwise would fail again, and is not tried once more. Runs that
    have lost their workers in so many `attempts` are not tried once more either.
    """

    def __init__(self, fresh_processes: bool, attempts: int = ATTEMPTS) -> None:
        self._fresh_processes = fresh_processes
        self._attempts = attempts
        self._lost: Counter[str] = Counter()  # run -> attempts whose worker was lost
        self._most: dict[StepKind, int] = {}
        self._uncapturable: set[StepKind] = set()
        self._retried: set[str] = set()  # runs

    def divide(self, job: Job) -> list[Job]:
        """Return the job in equal stacks that are not known to be too large, with graphs unless those failed."""
        runs, kind = job.stack.runs, step_kind(job.stack.runs[0])
        job = replace(job, graphs=job.graphs and kind not in self._uncapturable)
        most = self._most.get(kind)
        if most is None or len(runs) <= most:
            return [job]
        count = -(-len(runs) // most)
        edges = [len(runs) * k // count for k in range(count + 1)]
        return [
            replace(job, stack=Stack(runs[start:end], job.stack.start_epoch)) for start, end in pairwise(edges)
        ]

    def decide(self, job: Job, runs: Mapping[str, Run], failure: Failure) -> tuple[StackFailed, list[Job]]:
        """Return the event of a failed job, and the jobs that continue `runs`, which had not finished."""
        remedy, message = self._choose_remedy(job, runs, failure), failure.message
        if remedy is None and (failure.lost_worker or failure.handed_back):
            message += f", in the last of {self._count_lost(runs)} attempts. {_advise(failure)}"
        failed = StackFailed(job.stack.id, tuple(runs), message, failure.traceback, remedy)
        if remedy is None:
            return failed, []
        if remedy in (PLAINLY, AGAIN) and job.device.startswith("cuda"):
            job = replace(job, graphs=job.graphs and self._keeps_graphs(runs, failure))
        return failed, resumable_jobs(job, runs)

    def _keeps_graphs(self, runs: Mapping[str, Run], failure: Failure) -> bool:
        """Return whether the next attempt at runs has CUDA graphs: if the failure was neither theirs nor memory's.

        Perhaps they are what ends workers: the last attempt does without.
        """
        if failure.in_capture or failure.out_of_memory:
            return False
        is_last = self._count_lost(runs) == self._attempts - 1
        return failure.handed_back or (failure.lost_worker and not is_last)

    def _count_lost(self, runs: Iterable[str]) -> int:
        """Return how many attempts at the unluckiest of runs have lost their workers."""
        return max(self._lost[run] for run in runs)

    def _choose_remedy(self, job: Job, runs: Mapping[str, Run], failure: Failure) -> str | None:
        """Return the remedy that another attempt at `runs` of a job tries; None if there is to be none."""
        if failure.no_device:
            return ELSEWHERE
        if failure.handed_back and _got_ahead(job, runs):
            return ONWARDS
        is_lost = failure.lost_worker or failure.handed_back
        if is_lost:
            self._lost.update(runs.keys())
        if failure.out_of_memory:
            self._note_too_large(job)
            if len(job.stack.runs) > 1:
                return SMALLER
        if failure.in_capture:
            self._uncapturable.add(step_kind(job.stack.runs[0]))
            if job.graphs:
                return PLAINLY
        if is_lost:
            return AGAIN if self._count_lost(runs) < self._attempts else None
        if failure.in_plugin or not self._fresh_processes or not self._retried.isdisjoint(runs):
            return None
        self._retried.update(runs)
        return AGAIN

    def _note_too_large(self, job: Job) -> None:
        count, kind = len(job.stack.runs), step_kind(job.stack.runs[0])
        self._most[kind] = min(max(1, count // 2), self._most.get(kind, count))


def _advise(failure: Failure) -> str:
    """Return the advice for runs whose worker was lost, or handed back, too often."""
    if failure.handed_back:
        return "No epoch was done in it: give jobs more --time"
    return "Allow more with --attempts N"


def _got_ahead(job: Job, runs: Mapping[str, Run]) -> bool:
    """Return whether an attempt at a job has left a checkpoint of one of its runs."""
    return any(epoch > job.stack.start_epoch for epoch in saved_epochs(job.checkpoints, runs).values())


def resumable_jobs(job: Job, runs: Mapping[str, Run]) -> list[Job]:
    """Return the rest of a job: one stack per epoch that its runs were last saved after."""
    saved = saved_epochs(job.checkpoints, runs)
    return [
        replace(job, stack=Stack(tuple(run for run in runs.values() if saved[run.id] == epoch), epoch))
        for epoch in sorted(set(saved.values()))
    ]


def without_runs(jobs: Iterable[Job], others: Iterable[Job]) -> list[Job]:
    """Return jobs without the runs of others, and without those that have no run left."""
    taken = {run.id for job in others for run in job.stack.runs}
    left = [(job, tuple(run for run in job.stack.runs if run.id not in taken)) for job in jobs]
    return [replace(job, stack=Stack(runs, job.stack.start_epoch)) for job, runs in left if runs]
