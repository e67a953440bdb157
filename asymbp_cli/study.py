"""The loop: what a command wants, minus what the store has -> stacks -> executor -> events -> store."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from asymbp_cli.datasets.catalog import CATALOG, DatasetRef, make_absolute
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.preview import preview
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import DataError, MissingDataError, StudyInterrupted
from asymbp_cli.executors import ATTEMPTS, Job, StudyEvent, StudyWaits, Train
from asymbp_cli.executors.devices import collect_provenance
from asymbp_cli.executors.job import train as train_with_engine
from asymbp_cli.executors.keeping import Keeping
from asymbp_cli.executors.options import ExecutorOptions, RemoteOptions
from asymbp_cli.executors.registry import check_executor, choose_executor, make_executor
from asymbp_cli.executors.retry import supervise, without_runs
from asymbp_cli.executors.standing import Standing
from asymbp_cli.recipe.build import check_distinct
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.networks import input_shape, network_for
from asymbp_cli.results.locked import OnWait, ignore
from asymbp_cli.results.store import Store
from asymbp_cli.scheduling.estimate import Forecast, epoch_flop, epoch_seconds
from asymbp_cli.scheduling.replica_limit import limit_by_memory, replica_limit
from asymbp_cli.scheduling.shards import Part, collect_runs
from asymbp_cli.scheduling.stacks import plan_stacks
from asymbp_cli.specs.modules import WhichWeights
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.references import check_registered
from asymbp_cli.specs.runs import Run, Stack, StepKind, find_plugins
from asymbp_cli.training import resume
from asymbp_cli.training.weight_files import prepare_keeping, weights_directory

#: returns the seconds of a training step of each kind, given runs and the name of a device
Measure = Callable[[Collection[Run], str], Mapping[StepKind, float]]


@dataclass(frozen=True)
class Execution:
    """How a study is trained. On the CPU nothing of it changes a result."""

    devices: tuple[str, ...] = ("cpu",)  # of one kind, one for each worker
    executor: ExecutorOptions | None = None  # None: the one that fits the devices
    attempts: int = ATTEMPTS
    checkpoint_seconds: float = 60.0
    max_replicas: Callable[[Run], int] | None = None  # of a stack; None: as many as memory and device permit
    keep_weights: WhichWeights | None = None  # of each run, in a file; None: none
    train: Train = train_with_engine

    @property
    def is_remote(self) -> bool:
        """Return whether other machines train, whose devices this one cannot look at."""
        return isinstance(self.executor, RemoteOptions)


@dataclass(frozen=True)
class Work:
    """The runs of a study that are still to be trained."""

    runs: Mapping[str, Run]  # by id
    start_epochs: Mapping[str, int]  # of each of them: the epoch of its last checkpoint, or 0
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
    skipped: tuple[str, ...]  # had ended before


def prepare_datasets(
    refs: Sequence[DatasetRef], network: Network | None, protocol: Protocol, source: DataSource
) -> list[DecodedDataset]:
    """Return every dataset at the input size of its network, decoded if `source` says so.

    Without a `network` every dataset has the paper's. Raises DataError as `datasets.prepare` does, UsageError if
    two datasets have the same name.
    """
    get = prepare if source.decode else preview
    infos = []
    for ref in refs:
        key = ref if isinstance(ref, str) else "folder"
        shape = input_shape(network or network_for(key), ref)
        info = get(ref, shape, source, resize=protocol.resize, held_out=protocol.validation_fraction)
        infos.append(info if isinstance(ref, str) else info.model_copy(update={"folder": make_absolute(ref)}))
    check_distinct([info.label for info in infos], "datasets")
    return infos


def prepare_installed(
    keys: Sequence[str], network: Network | None, protocol: Protocol, source: DataSource
) -> tuple[list[DecodedDataset], dict[str, str]]:
    """Return those of the paper's datasets that are installed, decoded, and why each of the others is not.

    The reason is "" if a dataset is missing, else a message.
    """
    infos: list[DecodedDataset] = []
    missing = dict.fromkeys(keys, "")
    for key in keys:
        if key in CATALOG:
            try:
                infos += prepare_datasets([key], network, protocol, source)
                del missing[key]
            except MissingDataError:
                continue
            except DataError as error:  # one that cannot be used does not end the others
                missing[key] = str(error)
    return infos, missing


def plan_work(grids: Sequence[Grid], store: Store | None, part: Part | None = None) -> Work:
    """Return the runs of `grids`, or of a part of them, that the store has not, each of them once.

    Raises UsageError if one of them needs a plugin that is not loaded.
    """
    wanted = {run_id: run for run_id, run in collect_runs(grids).items() if not part or run_id in part.runs}
    ended = store.finished_ids() if store else set()
    runs = {run_id: run for run_id, run in wanted.items() if run_id not in ended}
    check_registered(reference for run in runs.values() for reference in run.references)
    start_epochs = _start_epochs(runs, store) if store else dict.fromkeys(runs, 0)
    return Work(runs, start_epochs, tuple(run_id for run_id in wanted if run_id in ended))


def _start_epochs(runs: Mapping[str, Run], store: Store) -> dict[str, int]:
    """Return the epoch of each run's checkpoint, or 0.

    A checkpoint that is ahead of the store (a database restored from a copy, say) does not count: to continue
    from there would leave a gap.
    """
    saved, stored = resume.saved_epochs(store.checkpoints, runs), store.epochs_stored(runs)
    return {
        run_id: saved[run_id] if saved[run_id] <= min(stored[run_id], run.protocol.epochs - 1) else 0
        for run_id, run in runs.items()
    }


def forecast(
    work: Work, infos: Mapping[str, DecodedDataset], execution: Execution, *, measure: Measure | None = None
) -> Forecast:
    """Return the cost of the work, run by run; `infos` by fingerprint.

    Steps are timed by `measure`, else on the datasets, but not on CUDA. Only the first epochs show the seconds
    there: this process opens no GPU, and the search for the fastest kernels takes longer than many an epoch.
    """
    runs, device, workers = work.runs, execution.devices[0], len(execution.devices)
    if device.startswith("cuda"):
        flop = {run_id: epoch_flop(run, infos[run.dataset]) for run_id, run in runs.items()}
        return Forecast(flop, False, workers)
    measure = measure or partial(_measure_steps, infos)
    step_seconds = measure(runs.values(), device) if runs else {}
    cost = {run_id: epoch_seconds(run, infos[run.dataset], step_seconds) for run_id, run in runs.items()}
    return Forecast(cost, True, workers)


def _measure_steps(
    infos: Mapping[str, DecodedDataset], runs: Collection[Run], device: str
) -> Mapping[StepKind, float]:
    from asymbp_cli.training.timing import measure_steps

    return measure_steps(runs, infos, device)


@contextmanager
def open_store(directory: Path, execution: Execution, on_wait: OnWait = ignore) -> Iterator[Store]:
    """Open the store of a directory, for `run`. The one place where devices and the executor are checked.

    `on_wait` is told what is waited for. Raises AsymbpError if they cannot be used from here; nothing is written
    then.
    """
    check_executor(execution.executor, execution.devices, directory)
    with Store.open(directory, on_wait=on_wait) as store:
        yield store


def run(
    grids: Sequence[Grid],
    infos: Mapping[str, DecodedDataset],
    store: Store,
    execution: Execution,
    *,
    on_event: Callable[[StudyEvent], None] = lambda report: None,
    command: str = "",
    part: Part | None = None,
) -> Outcome:
    """Train every run of `grids`, or of a part, that the store has not, and store all; `infos` by fingerprint.

    Ended at any point, the same call continues: after a KeyboardInterrupt, which is raised as StudyInterrupted, at
    the epoch after the last one that was finished, after a kill or a crash from the last checkpoints. Raises
    DeviceError if no device can be used, AsymbpError as a training does, StoreError if another process writes
    to the store.
    """
    with store.writing(lambda message: on_event(StudyWaits(message))):
        for info in infos.values():
            store.save_dataset(info)
        for grid in grids:
            store.save_grid(grid, part.mark.add_to(command) if part else command)
        work = plan_work(grids, store, part)
        _tidy(work, store)
        stacks = _plan(work, infos, execution)
        if not stacks:
            return Outcome((), {}, work.done)
        keep = prepare_keeping(execution.keep_weights, store.directory)
        jobs = [
            Job(
                stack,
                infos[stack.runs[0].dataset],
                execution.devices[0],
                store.checkpoints,
                execution.checkpoint_seconds,
                keep=keep,
                plugins=tuple(plugin.make_absolute() for plugin in find_plugins(stack.runs)),
            )
            for stack in stacks
        ]
        return _train(jobs, work, store, execution, on_event)


def _tidy(work: Work, store: Store) -> None:
    """Delete the checkpoints that nobody will continue from, and half-written files."""
    resume.sweep(store.checkpoints)
    resume.sweep(weights_directory(store.directory))
    unusable = [run_id for run_id, epoch in work.start_epochs.items() if epoch == 0]
    resume.discard(store.checkpoints, [*unusable, *work.done])


def _find_limit(execution: Execution, infos: Mapping[str, DecodedDataset]) -> Callable[[Run], int]:
    """Return how many runs like one a stack may hold: by what machines are said to have, or by what is here."""
    if not isinstance(execution.executor, RemoteOptions):
        return replica_limit(execution.devices, infos)
    return limit_by_memory(execution.devices[0].partition(":")[0], execution.executor.memory_bytes, infos, 1)


def _plan(work: Work, infos: Mapping[str, DecodedDataset], execution: Execution) -> list[Stack]:
    limit = execution.max_replicas or _find_limit(execution, infos)
    train_counts = {fingerprint: info.train_count for fingerprint, info in infos.items()}
    workers = len(execution.devices)
    return plan_stacks(work.runs.values(), work.start_epochs, train_counts, max_replicas=limit, workers=workers)


def _train(
    jobs: Sequence[Job], work: Work, store: Store, execution: Execution, on_event: Callable[[StudyEvent], None]
) -> Outcome:
    """Store and pass on what the executor reports, to the end."""
    devices = execution.devices
    options = execution.executor or choose_executor(devices, len(jobs))
    executor = make_executor(options, devices, execution.train, store.directory)
    provenance = collect_provenance(devices, is_remote=execution.is_remote)
    keeping = Keeping(store, work.runs, provenance, Standing(dict(work.start_epochs)))
    try:
        adopted = executor.adopt(work.start_epochs, store.finished_ids())
        for event in supervise(executor, without_runs(jobs, adopted), execution.attempts, adopted):
            keeping.keep(event)
            on_event(event)
        keeping.finish()
    except (KeyboardInterrupt, SystemExit) as interruption:
        store.hurry()
        left = []
        for event in executor.stop():
            keeping.keep(event)
            left += [event.message] if isinstance(event, StudyWaits) else []
        if isinstance(interruption, SystemExit):
            raise
        raise StudyInterrupted(". ".join([keeping.describe(), *left])) from None
    finally:
        executor.cancel()
    return Outcome(tuple(keeping.standing.finished), keeping.standing.failed, work.done)
