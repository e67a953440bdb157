"""Jobs of a few small stacks, and what executors make of them."""

from pathlib import Path

import small_study

from asymbp_cli.events import EpochEnded, RunFinished
from asymbp_cli.executors import ATTEMPTS, Executor, Job, StudyEvent, Train
from asymbp_cli.executors.inline import InlineExecutor
from asymbp_cli.executors.processes import ProcessExecutor
from asymbp_cli.executors.retry import supervise
from asymbp_cli.scheduling.stacks import plan_stacks

WORKERS = 2
CPUS = ("cpu",) * WORKERS
RATES = (100.0, 10.0, 1.0, 0.1)


def jobs(directory: Path, *, replicas: int = 2, seconds: float = 0.0, epochs: int = 4) -> list[Job]:
    """Return two stacks of two runs; the first holds the multiplier 100."""
    runs = small_study.grid("SGD", epochs=epochs, multipliers=RATES).all_runs().values()
    counts = {small_study.INFO.fingerprint: small_study.INFO.train_count}
    stacks = plan_stacks(runs, {}, counts, max_replicas=lambda run: replicas, workers=1)
    return [Job(stack, small_study.INFO, "cpu", directory, seconds) for stack in stacks]


def reports(executor: Executor, work: list[Job], attempts: int = ATTEMPTS) -> list[StudyEvent]:
    try:
        return list(supervise(executor, work, attempts))
    finally:
        executor.cancel()


def facts(found: list[StudyEvent]) -> set[StudyEvent]:
    """Return what the training said, whatever the order."""
    return {report for report in found if isinstance(report, EpochEnded | RunFinished)}


def make(kind: str, train: Train) -> Executor:
    return InlineExecutor(train) if kind == "inline" else ProcessExecutor(CPUS, train)


def pids(directory: Path) -> list[int]:
    return [int(path.name.removeprefix("pid-")) for path in directory.glob("pid-*")]
