"""The driver's side of a job: turns what its worker sends into events, and keeps the files.

Checkpoints are written once everything that was sent before them is stored. Until then those that came last stay
in memory.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from asymbp_cli.errors import DataError, DeviceError, StoreError
from asymbp_cli.events import CheckpointDue, CheckpointSaved, EpochEnded, Event, Progress, RunDiverged, RunFinished
from asymbp_cli.executors import Failure, Job, JobEnded
from asymbp_cli.executors.remote.messages import Ended, FilesSent, Message
from asymbp_cli.training import resume
from asymbp_cli.training.weight_files import is_of_run, write_weights

_POSTPONED_SECONDS = 5.0  # until checkpoints are due again that could not be kept


@dataclass
class Receiver:
    """Takes the messages of one job, in order. What they say of other runs than the job's is left out.

    So are the epochs that are `known` already, by run.
    """

    job: Job
    known: Mapping[str, int] = field(default_factory=dict)
    _unsaved: FilesSent | None = field(default=None, init=False)
    _due_from: float = field(default=0.0, init=False)  # seconds on the monotonic clock

    def take(self, message: Message) -> Iterator[Event | JobEnded]:
        """Yield what a message means. Raises the AsymbpError that ended the job, StoreError."""
        if isinstance(message, Ended):
            yield from self.save()
            yield self._end(message)
            return
        if isinstance(message, FilesSent):
            self._note(message)
        else:
            yield from self._forward(message)
        if time.monotonic() >= self._due_from:
            yield from self.save()

    def _end(self, message: Ended) -> JobEnded:
        """Return how the job ended; raises its error, unless that may be of the worker's machine alone."""
        error = message.error
        if isinstance(error, DataError | DeviceError | StoreError):
            return JobEnded(self.job, Failure(str(error), lost_worker=True), error)
        if error:
            raise error
        return JobEnded(self.job, message.failure)

    def save(self) -> Iterator[Event]:
        """Keep the checkpoints that have come, unless what was sent before them cannot be stored now."""
        if self._unsaved is None:
            return
        due = CheckpointDue(self.job.stack.id)
        yield due
        if due.postponed:
            self._due_from = time.monotonic() + _POSTPONED_SECONDS
            return
        sent, self._unsaved = self._unsaved, None
        for run_id, content in sent.files.items():
            resume.write(self.job.checkpoints, run_id, content)
        yield CheckpointSaved(tuple(sent.files), sent.epoch)

    def _note(self, sent: FilesSent) -> None:
        """Take in the files of the job's runs that are whole: weights are written, checkpoints wait."""
        files = {run.id: sent.files[run.id] for run in self.job.stack.runs if run.id in sent.files}
        if sent.kind == "checkpoints":
            files = {run_id: file for run_id, file in files.items() if resume.epoch_in(file, run_id) == sent.epoch}
            self._unsaved = replace(sent, files=files) if files else self._unsaved
        elif self.job.keep:
            for run_id, content in files.items():
                if is_of_run(content, run_id):
                    write_weights(self.job.keep.directory, run_id, content)

    def _forward(self, event: Event) -> Iterator[Event]:
        """Yield an event if it is about the job's runs; a run that has ended needs no checkpoint."""
        ids = {run.id for run in self.job.stack.runs}
        match event:
            case Progress():
                yield replace(event, stack=self.job.stack.id)
            case EpochEnded(run=run) | RunDiverged(run=run) | RunFinished(run=run):
                if run not in ids or (
                    not isinstance(event, RunFinished) and event.epoch <= self.known.get(run, 0)
                ):
                    return
                if isinstance(event, RunFinished) and self._unsaved:
                    files = {other: file for other, file in self._unsaved.files.items() if other != run}
                    self._unsaved = replace(self._unsaved, files=files) if files else None
                yield event
            case CheckpointDue() | CheckpointSaved():
                return  # the driver's own
            case _:
                yield event
