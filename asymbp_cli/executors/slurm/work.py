"""What a job of the cluster runs: the worker of one stack. Submitit calls it on the node."""

import os
import signal
from contextlib import closing
from pathlib import Path
from types import FrameType

from asymbp_cli.errors import DataError
from asymbp_cli.executors import Train
from asymbp_cli.executors.remote import worker
from asymbp_cli.executors.remote.spool import Outbox
from asymbp_cli.executors.slurm.folders import note_id, read_package

#: of scancel and preemption, of a time limit that comes near, and of a terminal's Ctrl-C if there is no cluster
_SIGNALS = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)


def work(folder: str, train: Train) -> None:
    """Train the stack whose package is in a folder; send there what happens. A signal makes it stop soon.

    Its id is noted first: a driver that finds none has not seen this job, and takes it back before it begins.
    """
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")  # read when torch is imported
    stopped = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    for number in _SIGNALS:
        signal.signal(number, stop)
    place = Path(folder)
    try:
        note_id(place, _read_id())
        messages = worker.train_apart(
            read_package(place), None, _no_arrays, engine=train, stopping=lambda: stopped
        )
        with Outbox(place) as outbox, closing(messages):
            for message in messages:
                outbox.send(message)
    except OSError:
        if place.exists():  # else nobody waits for this job any more
            raise
    os._exit(0)  # or submitit would write a result into a folder that the driver has cleared


def _read_id() -> str:
    from submitit import JobEnvironment

    job_id: str = JobEnvironment().job_id
    return job_id


def _no_arrays() -> dict[str, bytes]:
    """Raise DataError: only what the nodes share is at hand."""
    raise DataError(
        "the decoded images are not where this node can see them. Keep them in a directory that all nodes share: "
        "--cache-dir DIR, or $ASYMBP_CACHE"
    )
