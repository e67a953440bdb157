"""The worker's side of a job: trains it in a folder of its own and says what the driver needs to know."""

import platform
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path

from asymbp_cli.datasets.transfer import Fetch
from asymbp_cli.errors import AsymbpError, DataError, DeviceError, StoreError
from asymbp_cli.events import CheckpointDue, CheckpointSaved, EpochKept, Event, Progress, RunFinished
from asymbp_cli.executors import Failure, Job, Train, explain
from asymbp_cli.executors.job import train as train_with_engine
from asymbp_cli.executors.remote.messages import Ended, FilesSent, Message
from asymbp_cli.executors.remote.package import Package, unpack
from asymbp_cli.files.own_folder import own_folder
from asymbp_cli.training.resume import checkpoint_path
from asymbp_cli.training.weight_files import weights_path

_PROGRESS_SECONDS = 1.0
STOPPED = Failure("the worker was told to stop", handed_back=True)


def train(
    package: Package,
    folder: Path,
    fetch: Fetch,
    *,
    train: Train = train_with_engine,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Message]:
    """Train a job in `folder`, which has no checkpoints yet, and yield what to send; `Ended` comes last.

    `fetch` is asked for the dataset's arrays if this machine does not have them. Once `stopping` returns True, the
    last finished epoch is sent, and the job is handed back; it is asked several times a second.
    """
    try:
        job = unpack(package, folder, fetch)
        yield from _send(train(job), job, stopping)
    except Exception as error:
        found = explain(error)
        yield Ended(failure=found) if isinstance(found, Failure) else Ended(error=_name_machine(found))


def train_apart(
    package: Package, parent: Path | None, fetch: Fetch, *, engine: Train, stopping: Callable[[], bool]
) -> Generator[Message, None, None]:
    """Train a job as `train` does, in a folder of its own, which is gone when `Ended` is yielded.

    It is in `parent`, or else where this machine keeps temporary files. Close the generator to delete it.
    """
    last: Message | None = None
    try:
        with own_folder(parent or Path(tempfile.gettempdir())) as folder:
            for message in train(package, folder, fetch, train=engine, stopping=stopping):
                if isinstance(message, Ended):
                    last = message
                else:
                    yield message
    except OSError as error:
        last = last or Ended(error=_name_machine(_explain_no_folder(error)))
    assert last
    yield last


def _explain_no_folder(error: OSError) -> StoreError:
    return StoreError(
        f"cannot make a folder for temporary files: {error.strerror}. Free some space there, or let $TMPDIR name "
        "another directory"
    )


def _name_machine(error: AsymbpError) -> AsymbpError:
    """Return an error that says which machine it is of, if it may be of that one alone."""
    if isinstance(error, DataError | DeviceError | StoreError):
        error.args = (f"on {platform.node()}: {error}",)
    return error


def _send(events: Iterable[Event], job: Job, stopping: Callable[[], bool]) -> Iterator[Message]:
    """Yield the events of a training with the files that they speak of, until it ends or is to stop."""
    kept: EpochKept | None = None
    shown, weights_sent = 0.0, job.keep is None
    for event in events:
        if isinstance(event, Progress | EpochKept | CheckpointDue) and stopping():
            if kept := event if isinstance(event, EpochKept) else kept:
                kept.save()
                yield _read_checkpoints(job, kept.runs, kept.epoch)
            yield Ended(failure=STOPPED)
            return
        match event:
            case EpochKept():
                kept = event
            case CheckpointSaved():
                yield _read_checkpoints(job, event.runs, event.epoch)
            case Progress():
                if time.monotonic() - shown >= _PROGRESS_SECONDS:
                    shown = time.monotonic()
                    yield event
            case RunFinished():
                if not weights_sent:
                    weights_sent = True
                    yield _read_weights(job)
                yield event
            case CheckpointDue():
                pass  # the driver asks before it keeps the files
            case _:
                yield event
    yield Ended()


def _read_checkpoints(job: Job, runs: Iterable[str], epoch: int) -> FilesSent:
    files = {run_id: checkpoint_path(job.checkpoints, run_id).read_bytes() for run_id in runs}
    return FilesSent("checkpoints", epoch, files)


def _read_weights(job: Job) -> FilesSent:
    """Return the weights of a stack that has ended; a run that diverged at once has none."""
    assert job.keep is not None
    paths = {run.id: weights_path(job.keep.directory, run.id) for run in job.stack.runs}
    files = {run_id: path.read_bytes() for run_id, path in paths.items() if path.exists()}
    return FilesSent("weights", job.stack.runs[0].protocol.epochs, files)
