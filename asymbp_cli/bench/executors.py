"""What executors add to the time of trainings, and what a second worker gains. No torch."""

import hashlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from asymbp_cli.bench.measure import Measure, measure_interleaved
from asymbp_cli.bench.report import make_up_epochs
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.errors import AsymbpError
from asymbp_cli.events import CheckpointDue, Event, Progress, RunFinished
from asymbp_cli.executors import Executor, Job, StackFailed
from asymbp_cli.executors.registry import EXECUTORS, check_executor, load_executor, make_executor
from asymbp_cli.executors.retry import supervise
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, Stack

REFERENCE = "inline"
_REPLICAS, _EPOCHS = 5, 4  # of each stack
_COMPUTING = 8  # stacks in a round that compute
_HASHES = 200_000  # that take about a tenth of a second, to measure how many take how long


@dataclass(frozen=True)
class ExecutorsMeasure:
    """Seconds of stacks that wait, by executor over inline; of stacks that compute, by two workers over one.

    Who waits computes nothing, so that what is above `seconds` is the executor's.
    """

    overhead: tuple[Measure, ...]
    scaling: tuple[Measure, ...]
    unavailable: dict[str, str]  # executor -> why it was not measured


def measure_executors(directory: Path, *, stacks: int, seconds: float, rounds: int) -> ExecutorsMeasure:
    """Measure all executors that are installed on stacks that take so many `seconds`; `directory` takes nothing.

    Each round has its share of `stacks`, with the same workers: their start, once in a study, is not counted.
    Raises AsymbpError if a stack fails.
    """
    jobs, unavailable = _make_jobs(directory, -(-stacks // rounds)), dict[str, str]()
    with ExitStack() as stack:
        candidates = {}
        for name in (REFERENCE, *(name for name in EXECUTORS if name != REFERENCE)):
            try:
                options = load_executor(name)
                check_executor(options, ["cpu"], directory)
                executor = make_executor(options, ["cpu"], partial(wait_for, seconds), directory)
            except AsymbpError as error:
                unavailable[name] = str(error)
            else:
                candidates[name] = _timed(stack, executor, jobs)
        overhead = measure_interleaved(candidates, rounds)
    return ExecutorsMeasure(tuple(overhead), _measure_scaling(directory, seconds, rounds), unavailable)


def _measure_scaling(directory: Path, seconds: float, rounds: int) -> tuple[Measure, ...]:
    """Measure two worker processes against one, on stacks that compute."""
    train, jobs = partial(compute_for, _count_hashes(seconds)), _make_jobs(directory, _COMPUTING)
    with ExitStack() as stack:
        options = load_executor("processes")
        executors = [make_executor(options, ["cpu"] * count, train, directory) for count in (1, 2)]
        one, two = (_timed(stack, executor, jobs) for executor in executors)
        return tuple(measure_interleaved({"1 worker": one, "2 workers": two}, rounds))


def _timed(stack: ExitStack, executor: Executor, jobs: Sequence[Job]) -> Callable[[], float]:
    """Return a function that measures the seconds of a stack; the executor ends with `stack`.

    It raises AsymbpError if a stack fails.
    """
    stack.callback(executor.cancel)

    def run() -> float:
        began = time.perf_counter()
        for event in supervise(executor, jobs):
            if isinstance(event, CheckpointDue):
                event.postponed = True  # as there is none
            elif isinstance(event, StackFailed):
                raise AsymbpError(
                    f"a stack failed, so nothing can be compared: {event.message}. Measure once more"
                )
        return (time.perf_counter() - began) / len(jobs)

    return run


def _make_jobs(directory: Path, count: int) -> list[Job]:
    network, method = NETWORKS["digits"].resolve(10), parse_method("uSF")
    protocol = Protocol(epochs=_EPOCHS)
    info = prepare("digits", network.input)  # workers look for its files
    return [
        Job(
            Stack(
                tuple(
                    Run(
                        dataset=info.fingerprint,
                        network=network,
                        method=method,
                        protocol=protocol,
                        rate_multiplier=1 / (replica + 1),
                        seed=seed,
                    )
                    for replica in range(_REPLICAS)
                )
            ),
            info,
            "cpu",
            directory,
        )
        for seed in range(count)
    ]


def wait_for(seconds: float, job: Job) -> Iterator[Event]:
    """Stand in for a training of so many seconds, without computing."""
    yield from _pretend(job, partial(time.sleep, seconds / _EPOCHS))


def compute_for(hashes: int, job: Job) -> Iterator[Event]:
    """Stand in for a training that computes on one core."""
    yield from _pretend(job, partial(_hash, hashes // _EPOCHS))


def _pretend(job: Job, spend_time: Callable[[], object]) -> Iterator[Event]:
    """Yield the events of a training, with a checkpoint due after each epoch."""
    epochs = zip(*(make_up_epochs(run.id, _EPOCHS, random.Random(0)) for run in job.stack.runs), strict=True)
    for number, ended in enumerate(epochs, start=1):
        yield Progress(job.stack.id, number, 1, 2)
        spend_time()
        yield from ended
        yield CheckpointDue(job.stack.id)
    for run in job.stack.runs:
        yield RunFinished(run.id, "finished", _EPOCHS)


def _hash(count: int) -> None:
    hashlib.pbkdf2_hmac("sha256", b"", b"", max(count, 1))


def _count_hashes(seconds: float) -> int:
    """Return how many hashes take so many seconds here."""
    began = time.perf_counter()
    _hash(_HASHES)
    return round(_HASHES * seconds / (time.perf_counter() - began))
