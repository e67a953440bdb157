"""What a study notes: kept in memory, and written once a second in one transaction.

Fast epochs cost nothing, a process that is killed loses that second, and the database stays whole.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from asymbp_cli.errors import StoreError
from asymbp_cli.results.database import store_errors
from asymbp_cli.results.guard import Guard

T = TypeVar("T")
_FLUSH_SECONDS = 1.0

Statement = tuple[str, tuple[Any, ...]]  # may be executed twice without harm


class Journal:
    """Statements on their way to the database at `path`. A thread flushes them while `recording` lasts."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._guard = Guard(path)
        self._lock = threading.RLock()  # of the connection and the statements
        self._statements: list[Statement] = []
        self._failure: StoreError | None = None  # of the thread that flushes
        self._recording = False

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Accept statements; all of them are on disk at the end, however it ends."""
        self._guard.start()
        self._recording = True
        end = threading.Event()
        flusher = threading.Thread(target=self._flush_each_second, args=(end,), daemon=True)
        flusher.start()
        try:
            yield
        finally:
            end.set()
            flusher.join()
            self._recording = False
            self.flush()

    def note(self, sql: str, *values: Any) -> None:
        """Add a statement."""
        if not self._recording:
            raise RuntimeError("results are written inside `with store.writing():` only")
        with self._lock:
            self._statements.append((sql, values))

    def write_together(self, statements: Iterable[Statement]) -> None:
        """Write statements and everything noted before, in one transaction. Raises StoreError as `flush`."""
        with self._lock:
            for sql, values in statements:
                self.note(sql, *values)
            self.flush()

    def raise_failure(self) -> None:
        """Raise the StoreError that ended the thread that flushes, if one did."""
        if self._failure:
            raise self._failure

    def flush(self) -> None:
        """Write everything noted so far, in one transaction. Raises StoreError; then nothing is lost."""
        with self._lock, store_errors(self._path):
            if not self._statements:
                return
            self._guard.check()
            self._execute_all()
            self._guard.remember()
            self._statements.clear()

    def _execute_all(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for sql, values in self._statements:
                self._connection.execute(sql, values)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def query(self, sql: str, *values: Any, **named: Any) -> list[Any]:
        """Return the rows of a query, which sees everything noted so far."""
        with self._lock, store_errors(self._path):
            self.flush()
            return self._connection.execute(sql, named or values).fetchall()

    def read_together(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of `read`; all its queries see the database, and everything noted, at one moment."""
        with self._lock, store_errors(self._path):
            self.flush()
            self._connection.execute("BEGIN")
            try:
                return read(self._connection)
            finally:
                self._connection.execute("ROLLBACK")

    def _flush_each_second(self, end: threading.Event) -> None:
        while not end.wait(_FLUSH_SECONDS):
            try:
                self.flush()
            except StoreError as error:
                self._failure = error
                return
