"""Results on disk: `asymbp.sqlite` and `checkpoints/` in one directory, which one process writes at a time.

What happens in a training is noted in a journal in memory that goes to disk once a second, in one transaction:
fast epochs cost nothing, a process that is killed loses that second, and the database stays whole.
"""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from types import TracebackType
from typing import Any

from asymbp_cli.datasets.decoded import DataInfo
from asymbp_cli.errors import StoreError, UsageError
from asymbp_cli.events import EpochEnded, Event, RunFinished
from asymbp_cli.paths import exists, shown
from asymbp_cli.recipe.grid import Grid, grid_id, merge_grids
from asymbp_cli.results.database import connect, explained, parsed
from asymbp_cli.results.provenance import Provenance
from asymbp_cli.results.summaries import (
    ATTEMPT_COLUMNS,
    EPOCH_COLUMNS,
    FAILURES,
    SELECTED,
    SUMMARIES,
    Attempt,
    RunDetail,
    RunSummary,
    Spent,
    attempt,
    epoch_ended,
    summary,
)
from asymbp_cli.results.writer_lock import writer_lock
from asymbp_cli.specs.runs import Run

FILE_NAME = "asymbp.sqlite"
_FLUSH_SECONDS = 1.0

Statement = tuple[str, tuple[Any, ...]]  # may be executed twice without harm


class Store:
    """The results of one directory. Reading never waits for a writer; writing needs `with store.writing():`."""

    def __init__(self, directory: Path) -> None:
        self.directory, self._path = directory, directory / FILE_NAME
        self._connection = connect(self._path)
        self._file = _identity(self._path)
        self._lock = threading.RLock()  # of the connection and the journal
        self._journal: list[Statement] = []
        self._failure: StoreError | None = None  # of the thread that flushes
        self._writing = False

    @classmethod
    def open(cls, directory: Path, *, create: bool = True) -> "Store":
        """Open the results in `directory`, making it where `create`.

        Raises StoreError where there are none, or they are damaged, newer than this program or out of reach.
        """
        if exists(directory) and not directory.is_dir():
            raise StoreError(f"{directory} is a file, not a directory; choose another one with --results DIR")
        if exists(directory / "checkpoints") and not (directory / "checkpoints").is_dir():
            raise StoreError(f"{directory}/checkpoints is a file; move it away, or use --results DIR")
        if not create and not exists(directory / FILE_NAME):
            raise StoreError(
                f"there are no results in {directory}/; train something first, for instance "
                "asymbp reproduce --table 2, or name their directory with --results DIR"
            )
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot make the directory {directory}/: {error.strerror}; choose another one with --results DIR"
            ) from error
        return cls(directory)

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints lie."""
        return self.directory / "checkpoints"

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # writing ----------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the writer's lock; what was recorded is on disk at the end, however it ends.

        Raises StoreError where another process writes here.
        """
        with writer_lock(self.directory):
            self._writing = True
            self._close_attempts()  # of a process that was killed
            over = threading.Event()
            flusher = threading.Thread(target=self._flush_each_second, args=(over,), daemon=True)
            flusher.start()
            try:
                yield
            finally:
                over.set()
                flusher.join()
                self._close_attempts()
                self._writing = False
                self.flush()

    def save_dataset(self, info: DataInfo) -> None:
        """Remember a dataset; its runs refer to it by fingerprint."""
        update = "ON CONFLICT (fingerprint) DO UPDATE SET info = excluded.info"
        self._note(f"INSERT INTO datasets VALUES (?, ?) {update}", info.fingerprint, info.model_dump_json())

    def save_grid(self, grid: Grid, command: str = "") -> None:
        """Remember what was asked for, and by which command.

        Where a stored grid differs in its datasets only, the rows join it: one table grows.
        """
        identity, now = grid_id(grid), time.time()
        commands, created = [command], now
        for spec, before, since in self._read("SELECT spec, command, created FROM grids WHERE id = ?", identity):
            with explained(self._path):
                grid = merge_grids(parsed(Grid, spec, "grids", "id", identity), grid)
            commands, created = [*before.splitlines(), command], since
        text = "\n".join(dict.fromkeys(filter(None, commands)))
        values = (identity, grid.key, grid.model_dump_json(), text, created, now)
        self._note("INSERT OR REPLACE INTO grids VALUES (?, ?, ?, ?, ?, ?)", *values)
        self.flush()

    def begin(self, runs: Iterable[Run], start_epoch: int, provenance: Provenance) -> None:
        """Create `runs` where they are new, and an attempt at each that continues after `start_epoch`."""
        now, p = time.time(), provenance
        for run in runs:
            created = (run.id, run.model_dump_json(), run.dataset, None, now, now)
            self._note("INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?, ?)", *created)
            self._note(
                """INSERT OR REPLACE INTO attempts (run, started, start_epoch, host, device, software, git)
                VALUES (?, ?, ?, ?, ?, ?, ?)""",
                *(run.id, now, start_epoch, p.host, p.device, json.dumps(p.software), p.git),
            )
        self.flush()

    def record(self, event: Event) -> None:
        """Note what happened; it is on disk a second later. Raises StoreError, also for what was noted before."""
        if self._failure:
            raise self._failure
        if isinstance(event, EpochEnded):
            places = ", ".join("?" * len(EPOCH_COLUMNS))
            self._note(
                f"INSERT OR REPLACE INTO epochs ({', '.join(EPOCH_COLUMNS)}) VALUES ({places})", *astuple(event)
            )
            self._note("UPDATE runs SET updated = ? WHERE id = ?", time.time(), event.run)
        elif isinstance(event, RunFinished):
            state = (event.state, time.time(), event.run)
            self._note("UPDATE runs SET state = ?, updated = ? WHERE id = ?", *state)
            self._end_attempt(event.run, "finished")

    def fail(self, run_ids: Iterable[str], message: str, traceback: str | None = None) -> None:
        """Note that the present attempts at the runs failed."""
        for run_id in run_ids:
            self._end_attempt(run_id, "failed", message, traceback)
        self.flush()

    def flush(self) -> None:
        """Put everything noted so far on disk, in one transaction. Raises StoreError; then nothing is lost."""
        with self._lock, explained(self._path):
            if not self._journal:
                return
            if _identity(self._path) != self._file:
                raise StoreError(
                    f"{self._path} was deleted or replaced while asymbp was writing to it; what had been stored "
                    "went with it. Put it back if you can, then run the same command again"
                )
            count = len(self._journal)
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for sql, values in self._journal[:count]:
                    self._connection.execute(sql, values)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            del self._journal[:count]

    def _note(self, sql: str, *values: Any) -> None:
        if not self._writing:
            raise RuntimeError("results are written inside `with store.writing():` only")
        with self._lock:
            self._journal.append((sql, values))

    def _end_attempt(
        self, run_id: str, outcome: str, message: str | None = None, traceback: str | None = None
    ) -> None:
        self._note(
            """UPDATE attempts SET ended = ?, outcome = ?, message = ?, traceback = ?
            WHERE run = ? AND ended IS NULL""",
            *(time.time(), outcome, message, traceback, run_id),
        )

    def _close_attempts(self) -> None:
        """Mark the attempts that nobody goes on with; they ended with their run's last sign of life."""
        self._note(
            """UPDATE attempts SET outcome = 'interrupted',
                ended = max(started, (SELECT updated FROM runs WHERE id = run)) WHERE ended IS NULL"""
        )

    def _flush_each_second(self, over: threading.Event) -> None:
        while not over.wait(_FLUSH_SECONDS):
            try:
                self.flush()
            except StoreError as error:
                self._failure = error
                return

    # reading ----------------------------------------------------------------------------------------------

    def grids(self) -> list[Grid]:
        """Return every grid that was asked for, oldest first."""
        rows = self._read("SELECT id, spec FROM grids ORDER BY created, id")
        with explained(self._path):
            return [parsed(Grid, spec, "grids", "id", identity) for identity, spec in rows]

    def commands(self, grid: Grid) -> tuple[str, ...]:
        """Return the commands that asked for `grid`, oldest first."""
        rows = self._read("SELECT command FROM grids WHERE id = ?", grid_id(grid))
        return tuple(line for (text,) in rows for line in text.splitlines())

    def datasets(self) -> dict[str, DataInfo]:
        """Return the datasets of the runs, by fingerprint."""
        rows = self._read("SELECT fingerprint, info FROM datasets")
        with explained(self._path):
            return {key: parsed(DataInfo, info, "datasets", "fingerprint", key) for key, info in rows}

    def state(self, run_id: str) -> str | None:
        """Return how a run ended; None while it has not."""
        return self.states().get(run_id)

    def states(self) -> dict[str, str]:
        """Return how each run ended, by id, of those that have."""
        return dict(self._read("SELECT id, state FROM runs WHERE state IS NOT NULL"))

    def finished_ids(self) -> set[str]:
        """Return the runs that need no more training: finished, collapsed and diverged ones."""
        return set(self.states())

    def failures(self) -> dict[str, str]:
        """Return why the last attempt failed, by id, of the runs whose last attempt did."""
        return dict(self._read(FAILURES))

    def epochs(self, run_ids: Iterable[str]) -> dict[str, list[EpochEnded]]:
        """Return the stored epochs of every run asked for, in order; an empty list where there are none."""
        found: dict[str, list[EpochEnded]] = {run_id: [] for run_id in run_ids}
        sql = f"""SELECT {", ".join(EPOCH_COLUMNS)} FROM epochs
            WHERE run IN (SELECT value FROM json_each(?)) ORDER BY run, epoch"""
        for row in self._read(sql, json.dumps(list(found))):
            event = epoch_ended(row)
            found[event.run].append(event)
        return found

    def selected(self, run_ids: Iterable[str]) -> dict[str, list[EpochEnded]]:
        """Return the epoch of each run that the rule selects, by id; for tables, which need no others."""
        rows = self._read(SELECTED, runs=json.dumps(list(run_ids)))
        return {event.run: [event] for event in map(epoch_ended, rows)}

    def spent(self, run_ids: Iterable[str]) -> dict[str, Spent]:
        """Return the epochs that runs have had and their seconds, by id; runs without any are left out."""
        sql = """SELECT run, count(*), sum(seconds) FROM epochs
            WHERE run IN (SELECT value FROM json_each(?)) GROUP BY run"""
        rows = self._read(sql, json.dumps(list(run_ids)))
        return {run_id: Spent(epochs, seconds) for run_id, epochs, seconds in rows}

    def epochs_stored(self, run_ids: Iterable[str]) -> dict[str, int]:
        """Return k where exactly the epochs 1 to k of a run are stored, by id; 0 where there is a gap."""
        found = dict.fromkeys(run_ids, 0)
        sql = """SELECT run, max(epoch), count(*) FROM epochs
            WHERE run IN (SELECT value FROM json_each(?)) GROUP BY run"""
        rows = self._read(sql, json.dumps(list(found)))
        return found | {run_id: last for run_id, last, count in rows if last == count}

    def attempts(self, run_ids: Iterable[str]) -> list[Attempt]:
        """Return all attempts at the runs asked for, oldest first."""
        sql = f"""SELECT {", ".join(ATTEMPT_COLUMNS)} FROM attempts
            WHERE run IN (SELECT value FROM json_each(?)) ORDER BY started, run"""
        rows = self._read(sql, json.dumps(list(run_ids)))
        with explained(self._path):
            return [attempt(row) for row in rows]

    def runs(self, prefix: str = "") -> list[RunSummary]:
        """Return the runs whose id begins with `prefix`, the latest first."""
        rows = self._read(SUMMARIES, prefix=shown(prefix))
        with explained(self._path):
            return [summary(row) for row in rows]

    def run(self, prefix: str) -> RunDetail:
        """Return the one run whose id begins with `prefix`; raises UsageError where there is none, or several."""
        found = self.runs(prefix.lower())
        if len(found) != 1:
            which = f"{len(found)} runs begin" if found else "no run begins"
            raise UsageError(f'{which} with "{shown(prefix)}"; asymbp ls runs shows their ids')
        run_id = found[0].id
        ((spec,),) = self._read("SELECT spec FROM runs WHERE id = ?", run_id)
        return RunDetail(
            summary=found[0],
            run=Run.model_validate_json(spec),
            attempts=tuple(self.attempts([run_id])),
            epochs=tuple(self.epochs([run_id])[run_id]),
        )

    def _read(self, sql: str, *values: Any, **named: Any) -> list[Any]:
        with self._lock, explained(self._path):
            self.flush()
            return self._connection.execute(sql, named or values).fetchall()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another of the same name; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
