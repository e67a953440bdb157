"""Stores what an executor reports. While another program locks the database it stays in memory, in order.

Training continues meanwhile. Two things wait until everything before them is on disk: checkpoints, which must not
be ahead of the database, and the end of a run, whose checkpoint is deleted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from asymbp_cli.events import CheckpointDue, Provenance, RunFinished, WorkerFound
from asymbp_cli.executors import StackFailed, StackStarted, StudyEvent, StudyWaits
from asymbp_cli.executors.standing import Standing
from asymbp_cli.results.provenance import Program, add_plugins, check_same_program
from asymbp_cli.results.store import Store
from asymbp_cli.specs.runs import Run, find_plugins
from asymbp_cli.training import resume


@dataclass
class Keeping:
    """Fed by all events of a study, in order; `runs` by id are those that it trains."""

    store: Store
    runs: Mapping[str, Run]
    provenance: Provenance  # what is known of an attempt before its worker says where it is
    standing: Standing  # of what is on disk
    _ended: list[RunFinished] = field(default_factory=list)  # perhaps not on disk yet

    def keep(self, event: StudyEvent) -> None:
        """Store an event, and delete the checkpoint of a run that has finished.

        Raises StoreError, and WorkerError if a worker is of another version than this program.
        """
        if isinstance(event, WorkerFound):
            there = event.provenance
            check_same_program(there.host, Program.of(there), Program.of(self.provenance))
        if isinstance(event, StackStarted):
            runs = [self.runs[run_id] for run_id in event.runs]
            provenance = add_plugins(self.provenance, find_plugins(runs))
            self.store.begin(runs, event.start_epoch, provenance)
        elif isinstance(event, StackFailed):
            self.store.fail(event.runs, event.message, event.traceback)
        elif isinstance(event, CheckpointDue):
            event.postponed = not self._settle(durable=True)
        elif not isinstance(event, StudyWaits):
            self.store.record(event)
        if isinstance(event, RunFinished):
            self._ended.append(event)
            self._settle()
        else:
            self.standing.note(event)

    def finish(self) -> None:
        """Put everything on disk, once no other program locks the database. Raises StoreError."""
        self.store.flush()
        self._settle()

    def describe(self) -> str:
        """Describe the part of an interrupted study that is kept, and why the rest is lost."""
        if self._settle():
            return self.standing.describe()
        return f"{self.standing.describe()}. What came later is lost, since another program locks the database"

    def _settle(self, *, durable: bool = False) -> bool:
        """Put everything on disk if possible now, and delete checkpoints of ended runs; return whether it was."""
        if not self.store.flush_if_free(durable=durable):
            return False
        for event in self._ended:
            resume.discard(self.store.checkpoints, [event.run])  # of no more use
            self.standing.note(event)
        self._ended.clear()
        return True
