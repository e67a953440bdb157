"""What a study notes: kept in memory, and written once a second in one transaction.

Fast epochs cost nothing, a process that is killed loses that second, and the database stays whole. While another
program locks it, the journal keeps what comes, and training goes on. No checkpoint is written meanwhile, so a kill
loses what was trained since the lock began. The study waits when it begins and ends, and if the journal is full,
which holds 25,000 epochs of single runs (20 MB).
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asymbp_cli.errors import StoreError, StoreLockedError
from asymbp_cli.results import checksums
from asymbp_cli.results.database import check_no_copy, store_errors
from asymbp_cli.results.guard import Guard
from asymbp_cli.results.locked import PATIENCE_SECONDS, OnWait, T, wait_until_free

_FLUSH_SECONDS = 1.0
_RETRY_SECONDS = 0.1  # between attempts at a locked database
_HURRY_SECONDS = 0.3  # that a study which ends waits for it
_MOST_STATEMENTS = 50_000  # in memory; one takes about half a kilobyte
_NOT_RECORDING = "results are written inside `with store.writing():` only"

Statement = tuple[str, tuple[Any, ...]]  # may be executed twice without harm


class Journal:
    """Statements on their way to the database at `path`. A thread flushes them while `recording` lasts."""

    def __init__(self, connection: sqlite3.Connection, path: Path, on_wait: OnWait) -> None:
        self._connection = connection
        self._path = path
        self._tell_reader = on_wait  # what it waits for while nothing is recorded
        self._guard = Guard(path)
        self._lock = threading.RLock()  # of the connection and the statements
        self._statements: list[Statement] = []
        self._failure: StoreError | None = None  # of the thread that flushes
        self._verified: int | None = None  # SQLite's number of what others have written; None: look again
        self._recording = False
        self._last_attempt: float | None = None  # at a locked database, on the monotonic clock; None: no last one
        self._locked: StoreLockedError | None = None
        self._on_wait: OnWait | None = None  # None: it was told

    @contextmanager
    def recording(self, on_wait: OnWait) -> Iterator[None]:
        """Accept statements; all of them are on disk at the end, unless it is interrupted during a lock.

        `on_wait` is told once what the study waits for, if another program locks the database. Raises StoreError
        if what is stored is damaged, or was opened as a copy.
        """
        check_no_copy(self._connection, self._path)
        self._guard.start()
        self._recording, self._on_wait, self._last_attempt = True, on_wait, None
        self._set_patience(_RETRY_SECONDS)
        end = threading.Event()
        flusher = threading.Thread(target=self._flush_each_second, args=(end,), daemon=True)
        flusher.start()
        try:
            self._when_free(self._verify)
            yield
        except (KeyboardInterrupt, SystemExit):
            self.hurry()
            raise
        finally:
            end.set()
            flusher.join()
            try:
                self.flush() if self._last_attempt is None else self.flush_if_free()
            finally:
                self._recording, self._verified = False, None
                self._set_patience(PATIENCE_SECONDS)

    def note(self, sql: str, *values: Any) -> None:
        """Add a statement."""
        if not self._recording:
            raise RuntimeError(_NOT_RECORDING)
        with self._lock:
            self._statements.append((sql, values))

    def write_together(self, write: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of `write`, whose changes are one transaction, after everything noted before.

        Raises StoreError as `flush`; then nothing of it is written.
        """
        if not self._recording:
            raise RuntimeError(_NOT_RECORDING)

        def write_at_once() -> T:
            self._write()
            self._guard.check()
            with self._transaction():
                result = write(self._connection)
            self._guard.remember()
            return result

        return self._when_free(write_at_once)

    def check(self) -> None:
        """Raise the StoreError that ended the thread that flushes, if one did. Wait if it is full."""
        if self._failure:
            raise self._failure
        if self._locked:
            self._tell_wait()
        if len(self._statements) > _MOST_STATEMENTS:
            self.flush()

    def hurry(self) -> None:
        """From now on do not wait for other programs: the study ends, without what could not be written."""
        if self._last_attempt is None:
            self._last_attempt = time.monotonic() + _HURRY_SECONDS

    def flush(self) -> None:
        """Write everything noted so far, in one transaction, once no other program locks the database.

        Raises StoreError; then nothing is lost.
        """
        self._when_free(self._write)

    def flush_if_free(self, *, durable: bool = False) -> bool:
        """Write everything noted so far unless another program locks the database; return whether it is on disk.

        `durable`: a loss of power, or a copy of the file without its log, does not lose it either. Only if another
        program has been reading since before it was written, it stays in the log: no reader is waited for.

        Raises StoreError as `flush`. An interrupted study waits for a moment.
        """
        while True:
            try:
                self._write()
                if durable:
                    self._empty_log()
                return True
            except StoreLockedError as error:
                self._locked = error
                self._tell_wait()
                if self._last_attempt is None or time.monotonic() > self._last_attempt:
                    return False
            time.sleep(_RETRY_SECONDS)

    def _when_free(self, act: Callable[[], T]) -> T:
        """Return the result of `act`, which is repeated while another program locks the database."""

        def act_alone() -> T:
            with self._lock, store_errors(self._path):
                return act()

        while self._recording:
            try:
                return act_alone()
            except StoreLockedError as error:
                self._locked = error
                if self._last_attempt and time.monotonic() > self._last_attempt:
                    raise
                self._tell_wait()
            time.sleep(_RETRY_SECONDS)
        return wait_until_free(act_alone, self._path, self._tell_reader)

    def _tell_wait(self) -> None:
        on_wait, self._on_wait = self._on_wait, None
        if on_wait is not None:
            on_wait(f"{self._path} is locked by another program; results stay in memory until it is free")

    def _set_patience(self, seconds: float) -> None:
        """Set how long SQLite itself waits for other programs."""
        self._connection.execute(f"PRAGMA busy_timeout = {int(1000 * seconds)}")

    def _write(self) -> None:
        """Write everything noted so far. Raises StoreError, sqlite3.Error."""
        with self._lock, store_errors(self._path):
            if not self._statements:
                return
            self._guard.check()
            with self._transaction():
                for sql, values in self._statements:
                    self._connection.execute(sql, values)
            self._guard.remember()
            self._statements.clear()
            self._locked = None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _verify(self) -> None:
        """Raise DamageFound or sqlite3.Error if anything is damaged; looks only if another process has written."""
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._verified:
            checksums.verify(self._connection)
            self._verified = version

    def _empty_log(self) -> None:
        """Bring what the write-ahead log holds into the file itself, as far as no reader stands in the way."""
        with self._lock, store_errors(self._path):
            self._guard.check()
            try:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            finally:  # a disk that is full has perhaps taken a part
                self._guard.remember()

    def query(self, sql: str, *values: Any, **named: Any) -> list[Any]:
        """Return the rows of a query, which sees everything noted so far. Raises StoreError if any is damaged."""

        def read() -> list[Any]:
            self._write()
            self._verify()
            return self._connection.execute(sql, named or values).fetchall()

        return self._when_free(read)

    def read_together(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of `read`; all its queries see the database, and everything noted, at one moment.

        Raises StoreError if any of it is damaged.
        """

        def read_at_once() -> T:
            self._write()
            self._connection.execute("BEGIN")
            try:
                self._verify()
                return read(self._connection)
            finally:
                self._connection.execute("ROLLBACK")

        return self._when_free(read_at_once)

    def _flush_each_second(self, end: threading.Event) -> None:
        while not end.wait(_FLUSH_SECONDS):
            try:
                self._write()
            except StoreLockedError as error:
                self._locked = error
            except StoreError as error:
                self._failure = error
                return
