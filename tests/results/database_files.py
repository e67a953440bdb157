"""Databases as files: filled, and read by SQLite alone."""

import sqlite3
from contextlib import closing
from pathlib import Path

import small_study

from asymbp_cli.results import migrations
from asymbp_cli.results.store import FILE_NAME, Store

NOW = len(migrations.MIGRATIONS)  # version of the schema

TABLES = {*migrations.TABLES, "checksums"}


def contents_of(directory: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def fill(directory: Path) -> Path:
    """Store a grid in `directory`; return the database."""
    with Store.open(directory) as store, store.writing():
        store.save_grid(small_study.grid())
    return directory / FILE_NAME


def read(path: Path) -> tuple[int, set[str], list[str]]:
    """Return version, tables and the keys of the grids in a database, which is not changed."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        version = migrations.read_version(connection)
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return version, tables, [key for (key,) in connection.execute("SELECT key FROM grids")]


def half_done(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE half_done (x)")
    connection.execute("DELETE FROM grids")
