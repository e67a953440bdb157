"""Trains every job in a job of a SLURM cluster, and listens to their folders."""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from asymbp_cli.errors import AsymbpError, UsageError
from asymbp_cli.events import CheckpointDue, Event
from asymbp_cli.executors import Failure, Job, JobEnded, StudyWaits, Train
from asymbp_cli.executors.remote.driver import Receiver
from asymbp_cli.executors.remote.messages import Ended
from asymbp_cli.executors.remote.spool import Inbox
from asymbp_cli.executors.slurm.cluster import Cluster
from asymbp_cli.executors.slurm.deaths import explain_death
from asymbp_cli.executors.slurm.folders import (
    discard,
    find_folders,
    make_folder,
    note_ids,
    reading,
    sweep,
    take_back,
    tidy,
)
from asymbp_cli.executors.slurm.left_job import LeftJob
from asymbp_cli.spawn import delayed_interruptions
from asymbp_cli.training.resume import saved_epochs

_LONGEST_POLL, _SHORTEST_POLL = 1.0, 0.05  # seconds between two looks at the folders
_UNREADABLE_SECONDS = 120.0  # in which a folder that cannot be read is read again
_SETTLING_SECONDS = 5.0  # in which a network file system shows what a node that has ended wrote last
_ASKING_SECONDS = 60.0  # until the cluster is asked again for what it has refused
_STOPPING_SECONDS = 10.0  # what arrives later is taken in by the next driver
_SUBMITTING_SECONDS = 5  # that an interruption waits for sbatch


@dataclass
class _Running:
    """A job on the cluster, or one that waits there."""

    job: Job
    folder: Path
    id: str
    adopted: bool = False
    state: str | None = None  # how it ended, as the cluster says
    ended: float = 0.0  # when that was seen, on the monotonic clock
    unreadable: float | None = None  # since when its folder cannot be read, on the same clock
    inbox: Inbox = field(init=False)
    receiver: Receiver = field(init=False)

    def __post_init__(self) -> None:
        known = saved_epochs(self.job.checkpoints, (run.id for run in self.job.stack.runs)) if self.adopted else {}
        self.inbox, self.receiver = Inbox(self.folder), Receiver(self.job, known)


class SlurmExecutor:
    """An `Executor` with up to `workers` jobs on a cluster; those submitted together are one array."""

    fresh_processes = True

    def __init__(self, cluster: Cluster, results: Path, workers: int, train: Train) -> None:
        self._cluster, self._results, self._limit, self._train = cluster, results, workers, train
        self._waiting: list[Job] = []
        self._running: list[_Running] = []
        self._looked = 0.0  # at the states, on the monotonic clock
        self._launch_from = 0.0  # after a refusal, on the same clock
        self._refused = ""  # the words of the last one
        self._silent = False  # the cluster does not answer, which was said
        self._unanswered = False  # what was submitted when an interruption came
        self._stopped = False
        self._heard = True  # that jobs are to end

    @property
    def has_room(self) -> bool:
        """Return whether fewer jobs run or wait than are allowed."""
        return len(self._waiting) + len(self._running) < self._limit

    def submit(self, job: Job) -> None:
        """Accept a job; `events` submits all that were accepted."""
        self._waiting.append(job)

    def adopt(self, wanted: Mapping[str, int], ended: Collection[str]) -> list[Job]:
        """Take over the jobs whose runs are wanted or have ended; the latest one of each run.

        Other studies' jobs are left alone. Those that nobody waits for, that are damaged, or that are behind the
        checkpoints here, are cancelled. Raises StoreError if a folder cannot be read.
        """
        with reading(self._results):
            self._adopt(wanted, ended)
        return [running.job for running in self._running]

    def _adopt(self, wanted: Mapping[str, int], ended: Collection[str]) -> None:
        taken, unwanted = set(ended), list[Path]()
        sweep(self._results)
        found = [LeftJob.read(folder, self._results) for folder in find_folders(self._results)]
        states = dict[str, str]()
        with suppress(UsageError):  # else all may still run
            states = self._cluster.ended([left.id for left in found if left.id])
        for left in found:
            ids = {run.id for run in left.runs}
            job = left.without(taken)
            is_ours = job is not None and all(run.id in wanted for run in job.stack.runs)
            if job and is_ours and left.id and left.began(states) and left.reaches(wanted):
                self._running.append(_Running(job, left.folder, left.id, adopted=True))
                taken |= ids
            elif ids <= taken | set(wanted):
                unwanted.append(left.folder)
        self._cluster.cancel([job_id for folder in unwanted if (job_id := take_back(folder))])
        for folder in unwanted:
            discard(folder, self._results)

    def events(self) -> Iterator[Event | JobEnded | StudyWaits]:
        """Yield what the workers send, until a job ends."""
        pause, ended = _SHORTEST_POLL, False
        while (self._waiting or self._running) and not ended:
            yield from self._launch()
            if silence := self._look():
                yield silence
            news = False
            for running in list(self._running):
                for event in self._read(running):
                    news, ended = True, ended or isinstance(event, JobEnded)
                    yield event
            if not news:
                time.sleep(pause)
            pause = _SHORTEST_POLL if news else min(2 * pause, _LONGEST_POLL)

    def _launch(self) -> Iterator[StudyWaits]:
        """Submit the jobs that were accepted, together. Raises UsageError, StoreError.

        If the cluster refuses them while others run, it is asked again.
        """
        if not self._waiting or (self._running and time.monotonic() < self._launch_from):
            return
        try:
            with delayed_interruptions(most=_SUBMITTING_SECONDS):
                self._submit()
        except UsageError as error:
            if not self._running:
                raise
            self._launch_from = time.monotonic() + _ASKING_SECONDS
            if str(error) != self._refused:
                self._refused = str(error)
                yield StudyWaits(f"{error}. Other jobs run meanwhile, and it is asked again")

    def _submit(self) -> None:
        folders: list[Path] = []
        ids: list[str] = []
        try:
            for job in self._waiting:
                folders.append(make_folder(self._results, job))
            ids = self._cluster.submit(folders, self._train)
            note_ids(folders, ids)
        except BaseException as error:
            self._unanswered = not ids and isinstance(error, KeyboardInterrupt)
            self._cluster.cancel(ids)
            for folder in folders:  # without it a worker that starts ends at once
                discard(folder, self._results)
            raise
        self._running += [_Running(*parts) for parts in zip(self._waiting, folders, ids, strict=True)]
        self._waiting.clear()

    def _look(self) -> StudyWaits | None:
        """Note which jobs have ended, now and then. Return the message about a cluster that has become silent."""
        if time.monotonic() - self._looked < self._cluster.look_seconds:
            return None
        silence, states = None, dict[str, str]()
        try:
            states = self._cluster.ended([running.id for running in self._running if running.state is None])
        except UsageError as error:
            silence = StudyWaits(f"{error}. Jobs train on meanwhile, and it is asked again")
        was_silent, self._silent = self._silent, silence is not None
        self._looked = time.monotonic()
        for running in self._running:
            if running.id in states:
                running.state, running.ended = states[running.id], self._looked
        return None if was_silent else silence

    def _read(self, running: _Running) -> Iterator[Event | JobEnded]:
        """Yield what a job has sent since. One that ended without a word, or that cannot be read, has failed."""
        ended: Ended | None = None
        try:
            for message in running.inbox.read():
                if isinstance(message, Ended):
                    ended = message
                    break
                yield from running.receiver.take(message)
            running.unreadable = None
            settling = min(_SETTLING_SECONDS, self._cluster.look_seconds)
            if not ended and running.state and time.monotonic() - running.ended >= settling:
                began = running.inbox.began
                ended = Ended(explain_death(self._results, running.id, running.state, began, running.adopted))
        except ValueError as error:
            ended = self._give_up(running, str(error))
        except OSError as error:
            now = time.monotonic()
            running.unreadable = running.unreadable or now
            if now - running.unreadable >= _UNREADABLE_SECONDS:
                ended = self._give_up(running, f"{error}, for {_UNREADABLE_SECONDS:.0f} s")
        if ended:
            yield from self._end(running, ended)

    def _give_up(self, running: _Running, why: str) -> Ended:
        """Cancel a job whose folder cannot be read, and return its end."""
        self._cluster.cancel([running.id])
        return Ended(Failure(f"a job cannot be read: {why}", lost_worker=True))

    def _end(self, running: _Running, ended: Ended) -> Iterator[Event | JobEnded]:
        """Yield the end of a job, whose folder is deleted once all of it is stored."""
        self._running.remove(running)
        if running.adopted and ended.error:  # perhaps it was mended meanwhile
            ended = Ended(Failure(str(ended.error), handed_back=True))
        yield from running.receiver.save()
        due = CheckpointDue(running.job.stack.id)
        yield due
        if not due.postponed:
            discard(running.folder, self._results)
        yield from running.receiver.take(ended)

    def stop(self) -> Iterator[Event | StudyWaits]:
        """Tell all workers to save, and yield what they send in time; the next driver takes in the rest.

        Last comes what may be left running because the cluster does not answer.
        """
        self._stop()
        last = time.monotonic() + _STOPPING_SECONDS
        while self._heard and self._running and time.monotonic() < last:
            for running in list(self._running):
                with suppress(AsymbpError):  # of a job
                    yield from (event for event in self._read(running) if not isinstance(event, JobEnded))
            self._look()
            time.sleep(_SHORTEST_POLL)
        if not self._heard:
            ids = " ".join(running.id for running in self._running)
            yield StudyWaits(f"The cluster does not answer, so jobs train on. Type scancel {ids} to end them")
        if self._unanswered:
            yield StudyWaits(
                "The cluster has not answered sbatch. Jobs that it accepts after all end as they begin. Type "
                "squeue --me to see them, and scancel ID to end one"
            )

    def cancel(self) -> None:
        """Tell workers to save and to end; nothing is waited for. Their folders stay until the next driver."""
        self._stop()
        self._running.clear()
        tidy(self._results)

    def _stop(self) -> None:
        self._waiting.clear()
        if not self._stopped:
            self._stopped, self._looked = True, 0.0
            self._cluster.hurry()
            self._heard = self._cluster.cancel([running.id for running in self._running])
