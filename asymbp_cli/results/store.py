"""Results on disk: `asymbp.sqlite` and `checkpoints/` in one directory, which one process writes at a time."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.errors import StoreError, UsageError
from asymbp_cli.events import EpochEnded, Event, Provenance, RunFinished, WorkerFound
from asymbp_cli.files.locks import hold_writer_lock
from asymbp_cli.files.paths import FILE_NAME
from asymbp_cli.recipe.grid import Grid, choose_table_id, merge_grids, table_ids
from asymbp_cli.recipe.labels import name_datasets
from asymbp_cli.results import queries
from asymbp_cli.results.contents import Contents, StoredGrid, read_contents, read_grids
from asymbp_cli.results.database import connect, parse_column, store_errors
from asymbp_cli.results.directory import check_directory
from asymbp_cli.results.journal import Journal
from asymbp_cli.results.locked import OnWait, T, ignore
from asymbp_cli.results.summaries import (
    Attempt,
    Effort,
    RunDetail,
    RunSummary,
    Spent,
    check_history,
    make_attempt,
    make_effort,
    make_epoch,
    make_epoch_row,
    make_provenance_row,
    make_summary,
    read_plugins,
)
from asymbp_cli.specs.runs import Run
from asymbp_cli.specs.shards import split_mark
from asymbp_cli.text import printable_path


class Store:
    """The results of one directory. Reading never waits for a writer; writing needs `with store.writing():`."""

    def __init__(self, directory: Path, connection: sqlite3.Connection, on_wait: OnWait) -> None:
        self.directory = directory
        self._path = directory / FILE_NAME
        self._connection = connection
        self._journal = Journal(connection, self._path, on_wait)

    @classmethod
    def open(cls, directory: Path, *, create: bool = True, on_wait: OnWait = ignore) -> "Store":
        """Open the results in `directory`, which is made if `create`; `on_wait` is told what is waited for.

        Raises StoreError if there are none, or they are damaged, newer than this program or out of reach.
        """
        check_directory(directory, create=create)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot make the directory {directory}/: {error.strerror}. "
                "Choose another directory with --results DIR"
            ) from error
        return cls(directory, connect(directory / FILE_NAME, on_wait), on_wait)

    @property
    def checkpoints(self) -> Path:
        """Return the directory of the checkpoints."""
        return self.directory / "checkpoints"

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def writing(self, on_wait: OnWait = ignore) -> Iterator[None]:
        """Hold the writer's lock; what was recorded is on disk at the end, however it ends.

        `on_wait` is told once if another program locks the database. Raises StoreError if another process writes.
        """
        with hold_writer_lock(self.directory), self._journal.recording(on_wait):
            self._journal.note(queries.CLOSE_ATTEMPTS)  # of a process that was killed
            try:
                yield
            finally:
                self._journal.note(queries.CLOSE_ATTEMPTS)  # which nobody continues

    def save_dataset(self, info: DecodedDataset) -> None:
        """Store a dataset; its runs refer to it by fingerprint."""
        self._journal.note(
            "INSERT INTO datasets VALUES (?, ?) ON CONFLICT (fingerprint) DO UPDATE SET info = excluded.info",
            info.fingerprint,
            info.model_dump_json(),
        )

    def save_grid(self, grid: Grid, command: str = "") -> None:
        """Store a grid and the command that asked for it.

        If a stored grid of this title differs in its datasets only, it gets the rows of this one.
        """
        identity, now = self._table_id(grid), time.time()
        commands, created = [command], now
        stored = self._journal.query("SELECT spec, command, created FROM grids WHERE id = ?", identity)
        for spec, earlier, since in stored:
            with store_errors(self._path):
                grid = merge_grids(parse_column(Grid, spec, "grids", identity), grid)
            commands, created = [*earlier.splitlines(), command], since
        self._journal.note(
            "INSERT OR REPLACE INTO grids VALUES (?, ?, ?, ?, ?, ?)",
            identity,
            grid.key,
            grid.model_dump_json(),
            "\n".join(dict.fromkeys(filter(None, commands))),
            created,
            now,
        )
        self.flush()

    def _table_id(self, grid: Grid) -> str:
        """Return the id under which the store has a grid, or would have it."""
        rows = self._journal.query("SELECT id, spec FROM grids WHERE id IN (?, ?)", *table_ids(grid))
        with store_errors(self._path):
            stored = {key: parse_column(Grid, spec, "grids", key) for key, spec in rows}
        return choose_table_id(grid, {key: other.title for key, other in stored.items()})

    def begin(self, runs: Iterable[Run], start_epoch: int, provenance: Provenance) -> None:
        """Store `runs` if they are new, and an attempt at each that continues after `start_epoch`.

        Epochs after it, which the attempt trains anew, are deleted.
        """
        now = time.time()
        for run in runs:
            self._journal.note(queries.BEGIN_RUN, run.id, run.model_dump_json(), run.dataset, now, now)
            self._journal.note("DELETE FROM epochs WHERE run = ? AND epoch > ?", run.id, start_epoch)
            self._journal.note(queries.BEGIN_ATTEMPT, run.id, now, start_epoch, *make_provenance_row(provenance))
        self.flush_if_free()

    def record(self, event: Event) -> None:
        """Note an event; it is on disk a second later. Raises StoreError, also for earlier events."""
        self._journal.check()
        now = time.time()
        if isinstance(event, EpochEnded):
            self._journal.note(queries.KEEP_EPOCH, *make_epoch_row(event))
            self._journal.note("UPDATE runs SET updated = ? WHERE id = ?", now, event.run)
        elif isinstance(event, WorkerFound):
            for run_id in event.runs:
                self._journal.note(queries.FIND_WORKER, now, *make_provenance_row(event.provenance), run_id)
        elif isinstance(event, RunFinished):
            self._journal.note("UPDATE runs SET state = ?, updated = ? WHERE id = ?", event.state, now, event.run)
            self._end_attempt(event.run, "finished")

    def fail(self, run_ids: Iterable[str], message: str, traceback: str | None = None) -> None:
        """Store that the present attempts at the runs failed."""
        for run_id in run_ids:
            self._end_attempt(run_id, "failed", message, traceback)

    def flush(self) -> None:
        """Put everything noted so far on disk, in one transaction. Raises StoreError; then nothing is lost."""
        self._journal.flush()

    def flush_if_free(self, *, durable: bool = False) -> bool:
        """Do so unless another program locks the database, and return whether it was done; see `Journal`."""
        return self._journal.flush_if_free(durable=durable)

    def hurry(self) -> None:
        """Wait for no other program from now on."""
        self._journal.hurry()

    def _end_attempt(
        self, run_id: str, outcome: str, message: str | None = None, traceback: str | None = None
    ) -> None:
        self._journal.note(queries.END_ATTEMPT, time.time(), outcome, message, traceback, run_id)

    def write_together(self, write: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of `write`, of whose changes all are made or none. Raises StoreError."""
        return self._journal.write_together(write)

    def contents(self) -> Contents:
        """Return everything that is stored, at one moment."""
        return self._journal.read_together(read_contents)

    def stored_grids(self) -> dict[str, StoredGrid]:
        """Return every grid that was asked for by id, with its commands, oldest first."""
        return self._journal.read_together(read_grids)

    def grids(self) -> list[Grid]:
        """Return every grid that was asked for, oldest first."""
        return [stored.grid for stored in self.stored_grids().values()]

    def commands(self, grid: Grid) -> tuple[str, ...]:
        """Return the commands that asked for `grid` as they were typed, oldest first."""
        rows = self._journal.query("SELECT command FROM grids WHERE id = ?", self._table_id(grid))
        return tuple(split_mark(line)[0] for (text,) in rows for line in text.splitlines())

    def datasets(self) -> dict[str, DecodedDataset]:
        """Return the datasets of the runs, by fingerprint."""
        rows = self._journal.query("SELECT fingerprint, info FROM datasets")
        with store_errors(self._path):
            return {key: parse_column(DecodedDataset, info, "datasets", key) for key, info in rows}

    def states(self) -> dict[str, str]:
        """Return how each run ended, by id, of the runs that have ended."""
        return dict(self._journal.query(queries.STATES))

    def finished_ids(self) -> set[str]:
        """Return the runs that need no more training: finished, collapsed and diverged ones."""
        return set(self.states())

    def failures(self) -> dict[str, str]:
        """Return the messages of the runs whose last attempt failed, by id."""
        return dict(self._journal.query(queries.FAILURES))

    def epochs(self, run_ids: Iterable[str]) -> dict[str, list[EpochEnded]]:
        """Return the stored epochs of every run in `run_ids`, in order; an empty list for a run without any."""
        run_ids = list(run_ids)
        return {run_id: [] for run_id in run_ids} | self._epochs_of(run_ids, queries.EPOCHS)

    def _epochs_of(self, run_ids: Sequence[str], query: str) -> dict[str, list[EpochEnded]]:
        """Return the epochs that a query finds, by run."""
        epochs: dict[str, list[EpochEnded]] = {}
        self._check_histories(run_ids)
        rows = self._journal.query(query, runs=json.dumps(run_ids))
        with store_errors(self._path):
            for event in map(make_epoch, rows):
                epochs.setdefault(event.run, []).append(event)
        return epochs

    def _check_histories(self, run_ids: Iterable[str]) -> None:
        """Raise StoreError if the epochs of a run cannot be those of its training."""
        rows = self._journal.query(queries.HISTORIES, runs=json.dumps(list(run_ids)))
        with store_errors(self._path):
            for row in rows:
                check_history(row)

    def selected(self, run_ids: Iterable[str]) -> dict[str, list[EpochEnded]]:
        """Return the epoch of each run that the rule selects, and its last one, by id; tables need no others."""
        return self._epochs_of(list(run_ids), queries.SELECTED)

    def spent(self, run_ids: Iterable[str]) -> dict[str, Spent]:
        """Return the cost of runs so far, by id. Runs without an epoch are left out."""
        rows = self._journal.query(queries.SPENT, runs=json.dumps(list(run_ids)))
        return {run_id: Spent(*spent) for run_id, *spent in rows}

    def efforts(self) -> list[Effort]:
        """Return the cost of every attempt, those of failed, interrupted and abandoned runs too."""
        return [make_effort(row) for row in self._journal.query(queries.EFFORTS)]

    def plugins(self) -> dict[str, str]:
        """Return the names of the plugins that runs were trained with, by the beginning of their SHA-256."""
        return read_plugins(text for (text,) in self._journal.query("SELECT DISTINCT software FROM attempts"))

    def epochs_stored(self, run_ids: Iterable[str]) -> dict[str, int]:
        """Return k if exactly the epochs 1 to k of a run are stored, by id; 0 if there is a gap."""
        counts = dict.fromkeys(run_ids, 0)
        rows = self._journal.query(queries.LAST_EPOCHS, runs=json.dumps(list(counts)))
        return counts | {run_id: last for run_id, last, count in rows if last == count}

    def attempts(self, run_ids: Iterable[str]) -> list[Attempt]:
        """Return all attempts at the runs in `run_ids`, oldest first."""
        rows = self._journal.query(queries.ATTEMPTS, runs=json.dumps(list(run_ids)))
        with store_errors(self._path):
            return [make_attempt(row) for row in rows]

    def worker_starts(self, kind: str) -> list[float]:
        """Return the seconds in which workers on devices of a kind (cpu, cuda, mps) started, as far as known."""
        return [seconds for (seconds,) in self._journal.query(queries.STARTS, kind=kind)]

    def runs(self, prefix: str = "") -> list[RunSummary]:
        """Return the runs whose id starts with `prefix`, the latest first."""
        rows = self._journal.query(queries.RUNS, prefix=printable_path(prefix))
        return list(self.summaries(run_id for (run_id,) in rows).values())

    def summaries(self, run_ids: Iterable[str]) -> dict[str, RunSummary]:
        """Return the runs in `run_ids` that are stored by id, the latest first."""
        run_ids = list(run_ids)
        rows = self._journal.query(queries.SUMMARIES, runs=json.dumps(run_ids))
        names = name_datasets(row for grid in self.grids() for row in grid.rows)
        labels = {key: info.label for key, info in self.datasets().items()}
        self._check_histories(run_ids)
        with store_errors(self._path):
            return {row[0]: make_summary(row, names, labels) for row in rows}

    def run(self, prefix: str) -> RunDetail:
        """Return the only run whose id starts with `prefix`; raises UsageError if there is none, or several."""
        summaries = self.runs(prefix.lower())
        if len(summaries) != 1:
            count = f"{len(summaries)} run ids start" if summaries else "no run id starts"
            raise UsageError(f'{count} with "{printable_path(prefix)}". List the ids with asymbp ls runs')
        run_id = summaries[0].id
        ((spec,),) = self._journal.query("SELECT spec FROM runs WHERE id = ?", run_id)
        run, attempts = Run.model_validate_json(spec), self.attempts([run_id])
        return RunDetail(summaries[0], run, tuple(attempts), tuple(self.epochs([run_id])[run_id]))
