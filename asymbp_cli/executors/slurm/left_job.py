"""A job of an earlier driver, as its folder tells."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from asymbp_cli.errors import AsymbpError
from asymbp_cli.executors import Job
from asymbp_cli.executors.remote.package import read_job
from asymbp_cli.executors.remote.spool import Inbox
from asymbp_cli.executors.slurm.folders import read_description, read_id
from asymbp_cli.specs.runs import Run, Stack


@dataclass(frozen=True)
class LeftJob:
    """The folder of a job of an earlier driver; one that nobody can read has no job."""

    folder: Path
    id: str | None
    job: Job | None

    @classmethod
    def read(cls, folder: Path, results: Path) -> "LeftJob":
        """Return the job in a folder. Raises OSError."""
        try:
            job = read_job(read_description(folder), results)
        except AsymbpError:
            job = None
        return cls(folder, read_id(folder), job)

    @property
    def runs(self) -> tuple[Run, ...]:
        return self.job.stack.runs if self.job else ()

    def without(self, taken: Collection[str]) -> Job | None:
        """Return the job without some of its runs; None if none is left."""
        runs = tuple(run for run in self.runs if run.id not in taken)
        return replace(self.job, stack=Stack(runs, self.job.stack.start_epoch)) if self.job and runs else None

    def began(self, states: Collection[str]) -> bool:
        """Return whether the job has sent anything, or may still do so."""
        return self.id not in states or Inbox(self.folder).began

    def reaches(self, saved: Mapping[str, int]) -> bool:
        """Return whether the job began at the checkpoints that are `saved`, or before, and has sent as much.

        Else the epochs between would be missing, or be trained in vain.
        """
        if self.job is None:
            return False
        start = self.job.stack.start_epoch
        is_ahead = any(saved.get(run.id, start) > start for run in self.runs)
        sent = Inbox(self.folder).last_epochs() if is_ahead else {}
        return all(start <= saved[run.id] <= sent.get(run.id, start) for run in self.runs if run.id in saved)
