"""A SQLite file as the store needs it: opened and migrated, with every error explained."""

import os
import re
import shlex
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from asymbp_cli.errors import StoreError, StoreLockedError
from asymbp_cli.files.locks import hold_writer_lock
from asymbp_cli.files.whole import is_full, sweep, temporary_path
from asymbp_cli.results import checksums
from asymbp_cli.results.directory import ELSEWHERE
from asymbp_cli.results.locked import PATIENCE_SECONDS, OnWait, copy_database, ignore, wait_until_free
from asymbp_cli.results.migrations import MIGRATIONS, TABLES, apply_steps, migrate, read_version
from asymbp_cli.specs.base import Spec
from asymbp_cli.text import printable_path

S = TypeVar("S", bound=Spec)
_DAMAGED = re.compile("not a database|malformed|encrypted|^no such (table|column)")  # how SQLite may say it
_OUT_OF_SPACE = re.compile("disk I/O|unable to open|readonly")  # how SQLite may say that the disk is full


def connect(path: Path, on_wait: OnWait = ignore) -> sqlite3.Connection:
    """Open the database at `path`, brought to the present version; transactions are explicit.

    If there is none, it is made.

    With write-ahead logging if the filesystem permits it: readers never wait, and a killed process leaves the file
    whole. If nothing can be written, as on a full disk or a read-only medium, it is opened for reading. An older
    database is migrated with the writer's lock held, or in a copy in memory if that cannot be had.

    Raises StoreError if the file is damaged, newer than this program or out of reach, or locked for 10 seconds.
    Of a lock `on_wait` is told.
    """
    return wait_until_free(lambda: _open(path), path, on_wait)


def _open(path: Path) -> sqlite3.Connection:
    with store_errors(path):
        if not os.path.lexists(path):
            _create(path)
        if path.exists() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            return open_to_read(path)
        with closed_on_failure(_connect(str(path.absolute()))) as connection:
            try:
                _check(connection, path)
                connection.execute("PRAGMA foreign_keys = ON")
                if _prepare_to_write(connection, path):
                    return connection
            except sqlite3.OperationalError as error:
                if not (path.exists() and path.stat().st_size and _cannot_write(error)):
                    raise
            connection.close()
        return open_to_read(path)


def _connect(address: str, *, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(
        address, uri=uri, timeout=PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
    )


@contextmanager
def closed_on_failure(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Close a connection if what is done with it fails."""
    try:
        yield connection
    except BaseException:
        connection.close()
        raise


def _cannot_write(error: sqlite3.OperationalError) -> bool:
    """Return whether an error may come from files that cannot be made or written."""
    name = getattr(error, "sqlite_errorname", "")
    return name.startswith(("SQLITE_IOERR", "SQLITE_FULL", "SQLITE_CANTOPEN", "SQLITE_READONLY"))


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a database without writing anything, in a copy if it is older or cannot be read where it is."""
    try:
        connection = _connect(_read_only_address(path), uri=True)
        with closed_on_failure(connection):
            _check(connection, path)
    except sqlite3.OperationalError as error:
        if not _cannot_write(error):
            raise
        connection = _copy_with_log(path)
    with closed_on_failure(connection):
        _check(connection, path)
        if read_version(connection) == len(MIGRATIONS):
            return connection
    with closing(connection):
        copy = _copy_migrated(connection)
    copy.execute("PRAGMA query_only = ON")
    return copy


def check_no_copy(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StoreError if the database at `path` was opened as a copy, which keeps nothing."""
    path_size = (
        "SELECT length(CAST(file AS BLOB)) FROM pragma_database_list WHERE name = 'main'"  # or no text at all
    )
    if not connection.execute(path_size).fetchone()[0]:
        raise StoreError(
            f"{path} could not be changed when it was opened, perhaps because another asymbp wrote to it. Run the "
            f"same command again, or {ELSEWHERE}"
        )


def _copy_with_log(path: Path) -> sqlite3.Connection:
    """Return a copy in memory of a database and its write-ahead log, which is read through a file of its own."""
    copy = _connect(":memory:")
    with closed_on_failure(copy), tempfile.TemporaryDirectory() as directory:
        try:
            for name in (path.name, f"{path.name}-wal"):
                shutil.copyfile(path.with_name(name), Path(directory) / name)
        except OSError as error:
            may_read = not isinstance(error, PermissionError)
            remedy = "Copy it to a directory with space" if may_read else "Check its permissions"
            raise StoreError(f"cannot read {path}: {error.strerror}. {remedy}, or {ELSEWHERE}") from error
        with closing(sqlite3.connect(Path(directory) / path.name)) as source:
            copy_database(source, copy)
    copy.execute("PRAGMA query_only = ON")
    return copy


def _create(path: Path) -> None:
    """Make a database at `path`, whole or not at all, so that a killed process leaves no empty file there."""
    unfinished = temporary_path(path)
    try:
        with closing(sqlite3.connect(unfinished.absolute(), isolation_level=None)) as connection:
            migrate(connection, unfinished)
        try:
            os.link(unfinished, path)
        except FileExistsError:  # another process was faster
            return
        except OSError:  # a filesystem without links
            os.rename(unfinished, path)
    except OSError as error:
        raise StoreError(
            f"cannot make {path}: {error.strerror}. Choose another directory with --results DIR"
        ) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def copy_to_memory(path: Path) -> sqlite3.Connection:
    """Return a copy of the database at `path` in memory, brought to the present version; the file stays as it is.

    Raises StoreError as `connect`.
    """

    def copy() -> sqlite3.Connection:
        with store_errors(path), closing(_connect(_read_only_address(path), uri=True)) as source:
            _check(source, path)
            return _copy_migrated(source)

    return wait_until_free(copy, path)


def _copy_migrated(source: sqlite3.Connection) -> sqlite3.Connection:
    with closed_on_failure(_connect(":memory:")) as copy:
        copy_database(source, copy)
        apply_steps(copy, read_version(copy), len(MIGRATIONS))
        return copy


def _read_only_address(path: Path) -> str:
    log = path.with_name(f"{path.name}-wal")
    complete = not log.exists() or not log.stat().st_size  # nobody is writing it
    return f"{path.resolve().as_uri()}?mode=ro&immutable={int(complete)}"


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StoreError if the database is of a newer version or of another program."""
    version = read_version(connection)
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{path} was written by a newer asymbp (version {version} of its schema, this one knows "
            f"{len(MIGRATIONS)}). Upgrade asymbp, or {ELSEWHERE}"
        )
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and not tables >= TABLES:
        raise StoreError(f"{path} is a database of another program. Choose another directory with --results DIR")
    if tables and version == 0:
        raise StoreError(_explain(path, "malformed: without a version"))


def _prepare_to_write(connection: sqlite3.Connection, path: Path) -> bool:
    """Return whether rows of this version can be written. An older asymbp may be at its own: then they cannot."""
    sweep(path)
    with suppress(sqlite3.OperationalError):  # a filesystem without shared memory
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode == "wal":
            connection.execute("PRAGMA synchronous = NORMAL")  # safe against kill -9; no fsync per commit
    with ExitStack() as lock:
        if read_version(connection) < len(MIGRATIONS):
            try:
                lock.enter_context(hold_writer_lock(path.parent))
            except StoreError:  # another process holds it, or it cannot be made
                return False
        migrate(connection, path)
    checksums.watch(connection)
    return True


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite, and of rows that cannot be parsed, into a StoreError that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        kind = StoreLockedError if "locked" in str(error) else StoreError
        raise kind(_explain(path, str(error))) from error
    except UnicodeDecodeError as error:  # Python cannot read what SQLite says of a damaged schema
        raise StoreError(_explain(path, "malformed schema")) from error
    except RowError as error:
        raise StoreError(_explain_row(path, error)) from error
    except checksums.DamageFound as error:
        raise StoreError(f"{path} is damaged: {error}. {explain_remedy(path)}") from error


@dataclass(eq=False)
class RowError(Exception):
    """The content of a row cannot be read; `unknown` names a field of a newer version."""

    table: str
    value: str
    reason: str
    unknown: str | None = None


def parse_column(model: type[S], text: str, table: str, value: str) -> S:
    """Return the content of a column; raises RowError, for `store_errors`."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        details = error.errors(include_url=False)
        unknown = next((str(d["loc"][-1]) for d in details if d["type"] == "extra_forbidden"), None)
        place = ".".join(map(str, details[0]["loc"]))
        raise RowError(table, value, f"{place} {details[0]['msg']}".strip(), unknown) from error


def _explain_row(path: Path, row: RowError) -> str:
    place = f"{path}: the row {row.value} of the table {row.table}"
    if row.unknown:
        return f'{place} holds "{row.unknown}", which only a newer asymbp knows. Upgrade asymbp, or {ELSEWHERE}'
    return f"{place} is damaged ({row.reason}). {explain_remedy(path)}"


def explain_remedy(path: Path) -> str:
    """Return the remedy for the damaged database at `path`."""
    directory = shlex.quote(printable_path(path.parent))
    return (
        f"Put back a copy of {path.name}, or let asymbp store check --drop --results {directory} delete what is "
        f"damaged and repeat the command that made it, or {ELSEWHERE}"
    )


def _explain(path: Path, text: str) -> str:
    if "full" in text or (_OUT_OF_SPACE.search(text) and is_full(path.parent)):
        return f"no space left for {path}. Free some or {ELSEWHERE}, then run the same command again"
    if _DAMAGED.search(text):
        return f"{path} is damaged ({text}). Move it away to start anew, or put back a copy, or {ELSEWHERE}"
    if "locked" in text:
        return f"{path} is locked by another program. Close that program, or {ELSEWHERE}"
    if "readonly" in text or "unable to open" in text:
        return f"cannot read and write {path} ({text}). Check its permissions, or {ELSEWHERE}"
    return f"{path}: {text}. Repeat the command, or {ELSEWHERE}"
