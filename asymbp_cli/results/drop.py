"""Deleting what is damaged in stored results, so that the rest can be used and the deleted is trained anew."""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from asymbp_cli.errors import StoreError
from asymbp_cli.files.locks import hold_writer_lock
from asymbp_cli.files.paths import FILE_NAME, exists
from asymbp_cli.files.whole import sweep, temporary_path
from asymbp_cli.results import checksums
from asymbp_cli.results.check import Problem, find_problems
from asymbp_cli.results.database import copy_to_memory, store_errors
from asymbp_cli.results.directory import check_directory
from asymbp_cli.results.locked import LONGEST_SECONDS, copy_database

#: runs go with their dataset, attempts and epochs with their run; VACUUM copies indices as they are
_DELETE = """
    DELETE FROM datasets WHERE fingerprint IN (SELECT id FROM damaged WHERE kind = 'datasets');
    DELETE FROM grids WHERE id IN (SELECT id FROM damaged WHERE kind = 'grids');
    DELETE FROM runs WHERE id IN (SELECT id FROM damaged WHERE kind = 'runs')
        OR dataset NOT IN (SELECT fingerprint FROM datasets);
    DELETE FROM attempts WHERE run NOT IN (SELECT id FROM runs);
    DELETE FROM epochs WHERE run NOT IN (SELECT id FROM runs);
    DELETE FROM checksums WHERE id NOT IN
        (SELECT fingerprint FROM datasets UNION ALL SELECT id FROM grids UNION ALL SELECT id FROM runs);
    DROP TABLE damaged;
    VACUUM;
    REINDEX"""


@dataclass(frozen=True)
class Dropped:
    """What was wrong, the ids of what was deleted for it, and where everything is as it was."""

    problems: tuple[str, ...] = ()
    runs: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()
    datasets: frozenset[str] = frozenset()
    kept: Path | None = None  # None: nothing was wrong


def drop_damage(directory: Path) -> Dropped:
    """Delete the damaged runs, tables and datasets in `directory`; a dataset's runs are deleted with it.

    A copy of the database is kept first. Raises StoreError if another process writes to the results, if the copy
    cannot be written, or if deleting does not make them whole; then nothing is changed.
    """
    check_directory(directory, create=False)
    path = directory / FILE_NAME
    kept = path.with_name(f"{path.name}.damaged")
    with (
        hold_writer_lock(directory),
        store_errors(path),
        closing(copy_to_memory(path)) as stored,
        closing(sqlite3.connect(":memory:", isolation_level=None)) as rest,
    ):
        problems = find_problems(stored)
        if not problems:
            return Dropped()
        is_there = exists(kept)
        if is_there and not _is_copy(kept, stored):
            raise StoreError(
                f"{kept} is there from an earlier time. Move it away, then run the same command again"
            )
        if any(problem.newer for problem in problems):
            raise StoreError(f"{path} holds what only a newer asymbp knows, which is no damage. Upgrade asymbp")
        copy_database(stored, rest)
        _delete(rest, problems)
        before, after = _list_ids(stored), _list_ids(rest)
        if find_problems(rest) or (before[0] and not after[0]):
            raise StoreError(
                f"{path} is damaged in a way that deleting cannot mend. Put back a copy of it, or move it away "
                "to start anew"
            )
        try:
            if not is_there:
                _write_whole(stored, kept)
            _write(rest, path)
        except sqlite3.Error:  # nothing is deleted, so the copy would only be in the way
            with suppress(OSError):
                kept.unlink(missing_ok=True)
            raise
    runs, tables, datasets = (earlier - now for earlier, now in zip(before, after, strict=True))
    return Dropped(tuple(problem.text for problem in problems), runs, tables, datasets, kept)


def _is_copy(path: Path, content: sqlite3.Connection) -> bool:
    """Return whether a database has this content: a kill has left it there before anything was deleted."""
    with suppress(StoreError, sqlite3.Error), closing(copy_to_memory(path)) as there:
        return hasattr(there, "serialize") and _read_pages(there) == _read_pages(content)
    return False


def _read_pages(connection: sqlite3.Connection) -> bytes:
    """Return a database as a file has it, without the counters of its changes."""
    pages = bytearray(connection.serialize())
    pages[24:28] = pages[92:96] = bytes(4)
    return bytes(pages)


def _write_whole(content: sqlite3.Connection, path: Path) -> None:
    """Make a database, whole or not at all: a part of one, after a kill, would look like the copy."""
    unfinished = temporary_path(path)
    try:
        sweep(path)
        _write(content, unfinished)
        os.replace(unfinished, path)
    except OSError as error:
        raise StoreError(f"cannot make {path}: {error.strerror}. Nothing was deleted") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _write(content: sqlite3.Connection, path: Path) -> None:
    """Give the database at `path`, which may be new, the content of another one, in one transaction."""
    with closing(sqlite3.connect(path.absolute(), timeout=LONGEST_SECONDS)) as file:
        copy_database(content, file)


def _list_ids(connection: sqlite3.Connection) -> list[frozenset[str]]:
    """Return the ids of runs, of which there may be parts only, tables and datasets."""
    runs = "SELECT id FROM runs UNION SELECT run FROM attempts UNION SELECT run FROM epochs"
    queries = (
        f"{runs} UNION SELECT id FROM checksums WHERE kind = 'runs'",
        "SELECT id FROM grids",
        "SELECT fingerprint FROM datasets",
    )
    return [frozenset(key for (key,) in connection.execute(query)) for query in queries]


def _delete(connection: sqlite3.Connection, problems: Iterable[Problem]) -> None:
    """Delete what has a problem, and what belongs to it; pages and indices are written anew."""
    owners = [(problem.owner.kind, problem.owner.id) for problem in problems if problem.owner]
    connection.execute(f"CREATE TEMP TABLE damaged AS {checksums.list_damaged(connection)}")
    connection.executemany("INSERT INTO damaged VALUES (?, ?)", owners)
    connection.executescript(_DELETE)
