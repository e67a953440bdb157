"""The loop: what a command wants, minus what the store has -> stacks -> executor -> events -> store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from asymbp_cli.datasets.decoded import DataInfo
from asymbp_cli.events import CheckpointDue, RunFinished
from asymbp_cli.executors import Executor, Job, Report, StackFailed, StackStarted, Train
from asymbp_cli.executors.inline import InlineExecutor
from asymbp_cli.executors.job import train as train_with_engine
from asymbp_cli.executors.processes import ProcessExecutor
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.results.provenance import Provenance, collect
from asymbp_cli.results.store import Store
from asymbp_cli.scheduling.replica_limit import replica_limit
from asymbp_cli.scheduling.stacks import plan_stacks
from asymbp_cli.specs.runs import Run
from asymbp_cli.training import resume
from asymbp_cli.training.probe import facts_if_usable


@dataclass(frozen=True)
class Work:
    """What is left to do of what was asked for."""

    runs: Mapping[str, Run]  # by id
    start_epochs: Mapping[str, int]  # of each of them: where its last checkpoint lets it continue
    done: tuple[str, ...]  # runs that have ended before

    @property
    def remaining(self) -> dict[str, int]:
        """Return the epochs that each run still has, by id."""
        return {run.id: run.protocol.epochs - self.start_epochs[run.id] for run in self.runs.values()}


@dataclass(frozen=True)
class Outcome:
    """How a study ended, run by run."""

    finished: tuple[str, ...]
    failed: Mapping[str, str]  # run -> why
    skipped: tuple[str, ...]  # had been done before


def outstanding(grids: Sequence[Grid], store: Store | None) -> Work:
    """Return the runs of `grids` that the store has not, each of them once."""
    wanted = {run_id: run for grid in grids for run_id, run in grid.all_runs().items()}
    if store is None:
        return Work(wanted, dict.fromkeys(wanted, 0), ())
    ended = store.finished_ids()
    runs = {run_id: run for run_id, run in wanted.items() if run_id not in ended}
    return Work(runs, _start_epochs(runs, store), tuple(run_id for run_id in wanted if run_id in ended))


def _start_epochs(runs: Mapping[str, Run], store: Store) -> dict[str, int]:
    """Return the epoch of each run's checkpoint, or 0.

    A checkpoint that is ahead of the store (a database restored from a copy, say) does not count: going on
    from there would leave a gap.
    """
    saved, stored = resume.saved_epochs(store.checkpoints, runs), store.epochs_stored(runs)
    return {
        run_id: saved[run_id] if saved[run_id] <= min(stored[run_id], run.protocol.epochs - 1) else 0
        for run_id, run in runs.items()
    }


def run(
    grids: Sequence[Grid],
    infos: Mapping[str, DataInfo],
    store: Store,
    *,
    workers: int = 1,
    device: str = "cpu",
    on_event: Callable[[Report], None] = lambda report: None,
    command: str = "",
    max_replicas: Callable[[Run], int] | None = None,
    checkpoint_seconds: float = 60.0,
    train: Train = train_with_engine,
) -> Outcome:
    """Train every run of `grids` that the store has not, and store what happens; `infos` by fingerprint.

    Interrupted at any point, the same call goes on where it was. Raises AsymbpError as a training does,
    StoreError where another process writes to the store.
    """
    with store.writing():
        for info in infos.values():
            store.save_dataset(info)
        for grid in grids:
            store.save_grid(grid, command)
        work = outstanding(grids, store)
        _tidy(work, store)
        stacks = plan_stacks(
            work.runs.values(),
            work.start_epochs,
            {fingerprint: info.train_count for fingerprint, info in infos.items()},
            max_replicas=max_replicas or replica_limit(device, infos, workers),
            workers=workers,
        )
        processes = min(workers, len(stacks))
        on_gpu = device.startswith("cuda")
        # a failed capture leaves the process unusable, and this one opens no GPU
        apart = processes > 1 or (on_gpu and bool(stacks))
        executor: Executor = ProcessExecutor(processes, train) if apart else InlineExecutor(train)
        for stack in stacks:
            info = infos[stack.runs[0].dataset]
            executor.submit(Job(stack, info, device, store.checkpoints, checkpoint_seconds))
        facts = facts_if_usable(device) if on_gpu and stacks else None
        return _follow(executor, work, store, collect(device, facts.model if facts else None), on_event)


def _tidy(work: Work, store: Store) -> None:
    """Delete the checkpoints that nobody will continue from."""
    resume.sweep(store.checkpoints)
    unusable = [run_id for run_id, epoch in work.start_epochs.items() if epoch == 0]
    resume.discard(store.checkpoints, [*unusable, *work.done])


def _follow(
    executor: Executor, work: Work, store: Store, provenance: Provenance, on_event: Callable[[Report], None]
) -> Outcome:
    """Store and pass on what the executor reports, to the end."""
    finished: list[str] = []
    failed: dict[str, str] = {}
    try:
        for report in executor.events():
            if isinstance(report, StackStarted):
                store.begin([work.runs[run_id] for run_id in report.runs], report.start_epoch, provenance)
            elif isinstance(report, StackFailed):
                store.fail(report.runs, report.message, report.traceback)
                if not report.retrying:
                    failed |= dict.fromkeys(report.runs, report.message)
            elif isinstance(report, CheckpointDue):
                store.flush()
            else:
                store.record(report)
            if isinstance(report, RunFinished):
                store.flush()  # only then is its checkpoint of no more use
                resume.discard(store.checkpoints, [report.run])
                finished.append(report.run)
            on_event(report)
    finally:
        executor.cancel()
    return Outcome(tuple(finished), failed, work.done)
