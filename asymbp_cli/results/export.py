"""The exported file: the contents of a store as compressed text, the same bytes for the same contents.

`xz --decompress` turns it into lines of JSON:

    {"asymbp_export": 1, "schema": 5}              versions: of this format, and of the store's schema
    {"datasets": {"fingerprint": [...], ...}}      rows by table and column; a line per dataset, grid and run
    {"runs": {...}, "attempts": {...}, "epochs": {"epoch": [1, 2, ...], "test_wrong": [...], ...}}
    {"sha256": "..."}                              of all lines before this one

xz adds checksums of its own, and nothing of the time or the machine. Rows of an older schema are brought up by the
store's own migrations.
"""

import hashlib
import json
import lzma
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from asymbp_cli.errors import StoreError
from asymbp_cli.results import checksums, migrations
from asymbp_cli.results.contents import (
    Contents,
    Rows,
    make_dataset_rows,
    make_grid_rows,
    make_run_rows,
)
from asymbp_cli.results.database import RowError, closed_on_failure
from asymbp_cli.results.source import Source, check_source
from asymbp_cli.results.validity import Damage

_FORMAT = 1
#: the version of the rows, with measures and without; version 4 adds checksums, which stay in the database
_SCHEMA, _SCHEMA_WITHOUT_MEASURES = 5, 3
_MAGIC = b"\xfd7zXZ\x00"  # of xz
_PRESET = 6 | lzma.PRESET_EXTREME
_PIECE = 2**20  # bytes that are decompressed at once
_MOST_BYTES = 2**29  # decompressed: some 40,000 runs of 65 epochs
_MOST_IN_A_LINE = 2**24  # bytes: a run of 100,000 epochs
_MOST_LINES = 2**18
_MOST_MEMORY = 2**27  # bytes, of the decompressor; what xz -9 needs is half of it

#: what lines raise that are not as `encode` writes them
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
#: what SQLite says of rows that break a rule of the schema, in plain words
_BROKEN_RULES = {
    "UNIQUE": "a row is in it twice",
    "FOREIGN KEY": "a row belongs to one that is missing",
    "NOT NULL": "a value is missing",
    "CHECK": "a run or an attempt has an end that does not exist",
}
_NOT_AS_WRITTEN = "its lines are not as asymbp writes them"
_TYPES: dict[str, tuple[type, ...]] = {"TEXT": (str,), "INTEGER": (int,), "REAL": (int, float)}


def encode(contents: Contents) -> bytes:
    """Return the exported file. Raises StoreError if it were too large for `decode`."""
    measured = any(event.measures for stored in contents.runs.values() for event in stored.epochs)
    schema = _SCHEMA if measured else _SCHEMA_WITHOUT_MEASURES
    lines = [{"asymbp_export": _FORMAT, "schema": schema}, *map(_columns, _rows(contents))]
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode()
    if len(text) > _MOST_BYTES:
        raise StoreError(
            "these are too many results for one file. Export parts with --table, --protocol or --dataset"
        )
    end = json.dumps({"sha256": hashlib.sha256(text).hexdigest()}) + "\n"
    return lzma.compress(text + end.encode(), preset=_PRESET)


def _rows(contents: Contents) -> Iterator[Rows]:
    yield from map(make_dataset_rows, contents.datasets.values())
    for key, grid in contents.grids.items():
        yield make_grid_rows(key, grid)
    for run_id, stored in contents.runs.items():
        yield make_run_rows(run_id, stored)


def _columns(rows: Rows) -> dict[str, dict[str, list[Any]]]:
    """Return rows by table and column, which compress better; measures only if there are any."""
    columns = {
        table: {column: [row[column] for row in found] for column in found[0]}
        for table, found in rows.items()
        if found
    }
    if not any(columns.get("epochs", {}).get("measures", ())):
        columns.get("epochs", {}).pop("measures", None)
    return columns


def decode(content: bytes, path: Path) -> Source:
    """Return the results that were exported to `path`, of which `content` is read.

    Raises StoreError if the file is damaged, incomplete, newer than this program or something else.
    """
    if not content.startswith(_MAGIC):
        raise StoreError(f"{path} is no exported file. Name one that asymbp store export has written")
    try:
        lines = _parse(_decompress(content))
        header: Any = next(lines, None)
        _check_versions(header, path)
        return _read(header["schema"], lines)
    except RowError as error:
        if error.unknown:
            raise StoreError(f'{path} has "{error.unknown}", which only a newer asymbp knows. Upgrade') from error
        raise StoreError(_explain(path, error.reason)) from error
    except Damage as error:
        raise StoreError(_explain(path, str(error))) from error
    except sqlite3.Error as error:
        reason = next((words for rule, words in _BROKEN_RULES.items() if rule in str(error)), _NOT_AS_WRITTEN)
        raise StoreError(_explain(path, reason)) from error
    except _MALFORMED as error:
        raise StoreError(_explain(path, _NOT_AS_WRITTEN)) from error


def _explain(path: Path, reason: str) -> str:
    return (
        f"{path} is damaged or incomplete ({reason}); nothing of it was merged. Get it again, or export it again "
        "with asymbp store export"
    )


def _decompress(content: bytes) -> bytes:
    """Return the text, of which no more is decompressed than an exported file may have; raises Damage."""
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY)
    pieces: list[bytes] = []
    size = 0
    try:
        while not decompressor.eof:
            piece = decompressor.decompress(b"" if pieces else content, max_length=_PIECE)
            pieces.append(piece)
            size += len(piece)
            if size > _MOST_BYTES:
                raise Damage(f"it holds more than {_MOST_BYTES >> 20} MiB")
            if not piece and decompressor.needs_input:
                raise Damage("its end is missing")
    except lzma.LZMAError as error:
        raise Damage("its compression is broken") from error
    if decompressor.unused_data:
        raise Damage("something follows its end")
    return b"".join(pieces)


def _parse(text: bytes) -> Iterator[Any]:
    """Yield the lines but the last, whose checksum is compared, one by one; raises Damage."""
    if text.count(b"\n") + text.count(b"\r") > _MOST_LINES:
        raise Damage(f"it has more than {_MOST_LINES:,} lines")
    *lines, end = text.splitlines(keepends=True) or [b""]
    if any(len(line) > _MOST_IN_A_LINE for line in (*lines, end)):
        raise Damage(f"it has a line of more than {_MOST_IN_A_LINE >> 20} MiB")
    if json.loads(end)["sha256"] != hashlib.sha256(b"".join(lines)).hexdigest():
        raise Damage("its checksum is wrong")
    yield from map(json.loads, lines)


def _check_versions(header: Any, path: Path) -> None:
    known = {"asymbp_export": _FORMAT, "schema": len(migrations.MIGRATIONS)}
    for name, latest in known.items():
        version = header[name]
        if version < 1:
            raise Damage(f"{name} {version}")
        if version > latest:
            reason = f"{name} {version}, this one knows {latest}"
            raise StoreError(f"{path} was exported by a newer asymbp ({reason}). Upgrade asymbp")


def _read(version: int, lines: Iterable[Any]) -> Source:
    """Return the results in lines: rows of the schema's `version`, migrated in memory as a store is."""
    with closed_on_failure(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        migrations.apply_steps(connection, 0, version)
        connection.execute("BEGIN")
        for line in lines:
            for table, columns in line.items():
                _insert(connection, table, columns)
        connection.execute("COMMIT")
        migrations.apply_steps(connection, version, len(migrations.MIGRATIONS))
        checksums.take(connection)
        return check_source(connection)


def _insert(connection: sqlite3.Connection, table: str, columns: dict[str, list[Any]]) -> None:
    """Insert rows given by column; names that the schema has not are refused, never executed, and so are types."""
    known = {
        name: kind for _, name, kind, *_ in connection.execute("SELECT * FROM pragma_table_info(?)", (table,))
    }
    if table not in migrations.TABLES or not columns.keys() <= known.keys():
        raise Damage(f"it has an unknown table or column in {table!r}")
    for name, values in columns.items():
        if not all(_has_type(value, known[name]) for value in values):
            raise Damage(f"the column {name} of {table} has values of another type")
    places = ", ".join("?" * len(columns))
    sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"
    connection.executemany(sql, zip(*columns.values(), strict=True))


def _has_type(value: object, kind: str) -> bool:
    """Return whether a column of the SQL type `kind` holds `value`; whether it may be NULL the schema says."""
    return value is None or (isinstance(value, _TYPES[kind]) and not isinstance(value, bool))
