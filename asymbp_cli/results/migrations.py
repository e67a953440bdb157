"""The store's schema as numbered steps. A step is never changed once released; the next one is appended.

All missing steps are one transaction: a migration that fails, or is killed, leaves the file as it was. A copy of
the file is kept next to it until the migration has succeeded.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from asymbp_cli.errors import StoreError
from asymbp_cli.results import checksums

Migration = Callable[[sqlite3.Connection], None]


def _create_tables(connection: sqlite3.Connection) -> None:
    """Create the tables of version 1. Times are seconds since 1970; counts, never percentages."""
    for statement in (
        "CREATE TABLE datasets (fingerprint TEXT PRIMARY KEY, info TEXT NOT NULL)",
        """CREATE TABLE grids (
            id TEXT PRIMARY KEY, key TEXT NOT NULL, spec TEXT NOT NULL, command TEXT NOT NULL,
            created REAL NOT NULL, updated REAL NOT NULL)""",
        """CREATE TABLE runs (
            id TEXT PRIMARY KEY, spec TEXT NOT NULL,
            dataset TEXT NOT NULL REFERENCES datasets (fingerprint),
            state TEXT CHECK (state IN ('finished', 'collapsed', 'diverged')),
            created REAL NOT NULL, updated REAL NOT NULL)""",
        """CREATE TABLE attempts (
            run TEXT NOT NULL REFERENCES runs (id), started REAL NOT NULL, ended REAL,
            start_epoch INTEGER NOT NULL,
            host TEXT NOT NULL, device TEXT NOT NULL, software TEXT NOT NULL, git TEXT,
            outcome TEXT CHECK (outcome IN ('finished', 'failed', 'interrupted')),
            message TEXT, traceback TEXT,
            PRIMARY KEY (run, started)) WITHOUT ROWID""",
        """CREATE TABLE epochs (
            run TEXT NOT NULL REFERENCES runs (id), epoch INTEGER NOT NULL, rate REAL NOT NULL,
            train_loss REAL, train_wrong INTEGER NOT NULL, train_seen INTEGER NOT NULL,
            test_loss REAL, test_wrong INTEGER NOT NULL, test_seen INTEGER NOT NULL,
            validation_wrong INTEGER, validation_seen INTEGER,
            one_class INTEGER NOT NULL, diverged INTEGER NOT NULL, seconds REAL NOT NULL,
            PRIMARY KEY (run, epoch)) WITHOUT ROWID""",
    ):
        connection.execute(statement)


def _add_instruction_sets(connection: sqlite3.Connection) -> None:
    """Add the instruction set of the CPU on which an attempt trained; NULL if it is not known, or on a GPU."""
    connection.execute("ALTER TABLE attempts ADD COLUMN instruction_set TEXT")


def _add_validation_losses(connection: sqlite3.Connection) -> None:
    """Add the loss on held-out data; NULL without such data, if it is not a number, or if it was not stored."""
    connection.execute("ALTER TABLE epochs ADD COLUMN validation_loss REAL")


def _add_checksums(connection: sqlite3.Connection) -> None:
    """Add the checksums of `results/checksums.py`; `late` ones, with 1 added, are no older than this step."""
    connection.execute(
        """CREATE TABLE checksums (
            kind TEXT NOT NULL, id TEXT NOT NULL, checksum INTEGER NOT NULL, late INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (kind, id)) WITHOUT ROWID"""
    )
    checksums.take(connection)


def _add_measures(connection: sqlite3.Connection) -> None:
    """Add the measures of an epoch as JSON: measure -> layer -> value or null; NULL if none was made."""
    checksums.change_rows(connection, "ALTER TABLE epochs ADD COLUMN measures TEXT")


#: that hold results, in every version
TABLES = frozenset({"datasets", "grids", "runs", "attempts", "epochs"})

#: version n is reached by MIGRATIONS[n - 1]; SQLite keeps the version in `PRAGMA user_version`
MIGRATIONS: tuple[Migration, ...] = (
    _create_tables,
    _add_instruction_sets,
    _add_validation_losses,
    _add_checksums,
    _add_measures,
)


def read_version(connection: sqlite3.Connection) -> int:
    """Return the schema's version; 0 for an empty database."""
    number: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return number


def backup_path(path: Path) -> Path:
    """Return the path of the copy that is kept during a migration of the database at `path` to this version.

    Its name has the version, so that a tool deletes no backup of a newer one.
    """
    return path.with_name(f"{path.name}.before-version-{len(MIGRATIONS)}")


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Apply the missing steps to the database at `path`; the connection is in autocommit mode."""
    if read_version(connection) < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = read_version(connection)  # another process may have been faster
            if 0 < version < len(MIGRATIONS):
                _back_up(path)
            apply_steps(connection, version, len(MIGRATIONS))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    with suppress(OSError):
        backup_path(path).unlink(missing_ok=True)


def apply_steps(connection: sqlite3.Connection, version: int, target: int) -> None:
    """Bring a database from `version` to `target`, or leave it if it is newer."""
    for step in MIGRATIONS[version:target]:
        step(connection)
    connection.execute(f"PRAGMA user_version = {max(version, target)}")


def has_schema(connection: sqlite3.Connection) -> bool:
    """Return whether a database has the tables that the steps make, column by column, and acts on nothing."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        apply_steps(made, 0, len(MIGRATIONS))
        return _describe_schema(connection) == _describe_schema(made)


def _describe_schema(connection: sqlite3.Connection) -> list[object]:
    others = connection.execute(
        "SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view')"
    ).fetchall()
    columns = "SELECT cid, name, type, [notnull], dflt_value, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid"
    return [others, *(connection.execute(columns, (table,)).fetchall() for table in sorted(TABLES))]


def _back_up(path: Path) -> None:
    """Copy the database as it was before the present transaction; whole or not at all.

    Raises StoreError if the copy cannot be written.
    """
    path = path.absolute()  # SQLite may take a name that begins with file: for an address
    target = backup_path(path)
    unfinished = target.with_name(f"{target.name}.part")
    try:
        unfinished.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(unfinished)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # so that it is a single file
        os.replace(unfinished, target)
    except OSError as error:
        raise StoreError(
            f"cannot write {error.filename or target}, a copy of the results that is kept during their migration: "
            f"{error.strerror}. Remove what is in the way, then run the same command again"
        ) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
