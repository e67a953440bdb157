"""A SQLite file as the store needs it: opened, migrated, every error said in words."""

import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from asymbp_cli.errors import StoreError
from asymbp_cli.results.migrations import MIGRATIONS, TABLES, migrate, version
from asymbp_cli.specs.base import Spec

S = TypeVar("S", bound=Spec)
_BUSY_SECONDS = 10.0


def connect(path: Path) -> sqlite3.Connection:
    """Open the database at `path`, brought to the present version; transactions are explicit.

    With write-ahead logging where the filesystem permits it: readers never wait, and a killed process leaves
    the file whole. Where nothing can be written, it is opened for reading.

    Raises StoreError where it is damaged, newer than this program or out of reach.
    """
    with explained(path):
        if path.exists() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            complete = not path.with_name(f"{path.name}-wal").exists()  # nobody is writing it
            address, uri = f"{path.resolve().as_uri()}?mode=ro&immutable={int(complete)}", True
        else:
            address, uri = str(path), False
        connection = sqlite3.connect(
            address, uri=uri, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, path, read_only=uri)
        except BaseException:
            connection.close()
            raise
        return connection


def _prepare(connection: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    found = version(connection)
    if found > len(MIGRATIONS):
        raise StoreError(
            f"{path} was written by a newer asymbp (version {found} of its schema, this one knows "
            f"{len(MIGRATIONS)}); upgrade asymbp, or use another directory with --results DIR"
        )
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and not tables >= TABLES:
        raise StoreError(f"{path} is a database of another program; use another directory with --results DIR")
    connection.execute("PRAGMA foreign_keys = ON")
    if read_only:
        return
    with suppress(sqlite3.OperationalError):  # a filesystem without shared memory
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode == "wal":
            connection.execute("PRAGMA synchronous = NORMAL")  # safe against kill -9; no fsync per commit
    migrate(connection)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite raises, or the parsing of what it holds, into a StoreError that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(_explanation(path, str(error))) from error
    except RowError as error:
        raise StoreError(_about_row(path, error)) from error


@dataclass(eq=False)
class RowError(Exception):
    """A row holds what cannot be read; `unknown` names a field of a newer version."""

    table: str
    key: str  # name of the column that tells rows apart
    value: str
    reason: str
    unknown: str | None = None


def parsed(model: type[S], text: str, table: str, key: str, value: str) -> S:
    """Return what a column of a row holds; raises RowError, for `explained`."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        details = error.errors(include_url=False)
        unknown = next((str(d["loc"][-1]) for d in details if d["type"] == "extra_forbidden"), None)
        place = ".".join(map(str, details[0]["loc"]))
        raise RowError(table, key, value, f"{place} {details[0]['msg']}".strip(), unknown) from error


def _about_row(path: Path, row: RowError) -> str:
    where = f"{path}: the row {row.value} of the table {row.table}"
    elsewhere = "use another directory with --results DIR"
    if row.unknown:
        return f'{where} holds "{row.unknown}", which only a newer asymbp knows; upgrade asymbp, or {elsewhere}'
    delete = f"DELETE FROM {row.table} WHERE {row.key} = '{row.value}'"
    return (
        f"{where} is damaged ({row.reason}); put {path.name} back from a copy, or delete that row: "
        f'sqlite3 {shlex.quote(str(path))} "{delete}", then repeat the command that made it; or {elsewhere}'
    )


def _explanation(path: Path, text: str) -> str:
    elsewhere = "use another directory with --results DIR"
    if "full" in text:
        return f"no space left for {path}; free some or {elsewhere}, then run the same command again"
    if "not a database" in text or "malformed" in text or "encrypted" in text:
        return f"{path} is damaged ({text}); move it away to begin anew, or {elsewhere}"
    if "locked" in text:
        return f"{path} is locked by another program; close it, or {elsewhere}"
    if "readonly" in text or "unable to open" in text:
        return f"cannot read and write {path} ({text}); check its permissions, or {elsewhere}"
    return f"{path}: {text}; {elsewhere}"
