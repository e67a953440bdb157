"""The store's schema as numbered steps. A step is never changed once released; the next one is appended."""

import sqlite3
from collections.abc import Callable

Migration = Callable[[sqlite3.Connection], None]


def _first(connection: sqlite3.Connection) -> None:
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


#: of every version
TABLES = frozenset({"datasets", "grids", "runs", "attempts", "epochs"})

#: version n is reached by MIGRATIONS[n - 1]; SQLite keeps the version in `PRAGMA user_version`
MIGRATIONS: tuple[Migration, ...] = (_first,)


def version(connection: sqlite3.Connection) -> int:
    """Return the schema's version; 0 for an empty database."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def migrate(connection: sqlite3.Connection) -> None:
    """Apply the steps that are missing, each in its own transaction; the connection is in autocommit mode."""
    while version(connection) < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            current = version(connection)  # another process may have been faster
            if current < len(MIGRATIONS):
                MIGRATIONS[current](connection)
                connection.execute(f"PRAGMA user_version = {current + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
