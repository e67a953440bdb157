"""Checksums of what is stored: a flipped bit is noticed before a number of it is believed.

The table `checksums` has, for every dataset, table and run, the sum of the CRC-32s of its rows. Those of a run are
its own row, its attempts and its epochs. Triggers add the difference to a sum, in the transaction that changes a
row. A row that changes, vanishes or moves in any other way leaves a wrong sum, which no later change makes right.
"""

import json
import marshal
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product

from asymbp_cli.text import list_some, printable_path

_FORMAT = 2  # of marshal: numbers and bytes have been the same in it since Python 2.5
_FUNCTION = "asymbp_crc32"

#: of each table: what its rows belong to, by kind, and the column that says to which
_OWNERS = {
    "datasets": ("datasets", "fingerprint"),
    "grids": ("grids", "id"),
    "runs": ("runs", "id"),
    "attempts": ("runs", "run"),
    "epochs": ("runs", "run"),
}
_NAMES = {"datasets": "dataset", "grids": "table", "runs": "run"}


@dataclass(frozen=True)
class Owner:
    """What a checksum covers: a dataset, a table or a run, with all its rows."""

    kind: str  # "datasets", "grids" or "runs"
    id: str

    def __str__(self) -> str:
        return f"the {_NAMES.get(self.kind, self.kind)} {self.id}"


class DamageFound(Exception):
    """What is stored is not what was written; says what."""


def _crc32(*values: str | bytes | int | float | None) -> int:
    return zlib.crc32(marshal.dumps(values, _FORMAT))


def _add_function(connection: sqlite3.Connection) -> None:
    connection.create_function(_FUNCTION, -1, _crc32, deterministic=True)


def watch(connection: sqlite3.Connection) -> None:
    """Let a connection keep the checksums of all rows that it writes; no other one may write.

    The triggers are the connection's own. SQLite fires them for rows that it replaces if they may recurse.
    """
    _add_function(connection)
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA recursive_triggers = ON")
    _make_triggers(connection)


def _make_triggers(connection: sqlite3.Connection) -> None:
    for table, (kind, owner) in _OWNERS.items():
        columns = _read_columns(connection, table)
        found = " AND ".join(f"{name} = NEW.{name}" for name, place in columns.items() if place)
        stored = f"(SELECT {_call(columns)} FROM {table} WHERE {found})"  # as it can be read again, unlike NEW
        remove = _add_to(kind, f"OLD.{owner}", f"-{_call(columns, 'OLD.')}")
        add = _add_to(kind, f"NEW.{owner}", stored)
        for event, body in (("INSERT", add), ("DELETE", remove), ("UPDATE", f"{remove}; {add}")):
            name = _name_trigger(table, event)
            connection.execute(f"CREATE TEMP TRIGGER {name} AFTER {event} ON main.{table} BEGIN {body}; END")


def _name_trigger(table: str, event: str) -> str:
    return f"checksums_{table}_{event}"


@contextmanager
def not_watching(connection: sqlite3.Connection) -> Iterator[None]:
    """Let rows be copied together with their checksums, which is ten times as fast as taking them anew."""
    for table, event in product(_OWNERS, ("INSERT", "DELETE", "UPDATE")):
        connection.execute(f"DROP TRIGGER temp.{_name_trigger(table, event)}")
    yield
    _make_triggers(connection)


def copy(kind: str, ids: list[str], source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy the checksums of what was copied, row by row, from a source that is as it was written."""
    chosen, values = "kind = ? AND id IN (SELECT value FROM json_each(?))", (kind, json.dumps(ids))
    target.execute(f"DELETE FROM checksums WHERE {chosen}", values)
    rows = source.execute(f"SELECT kind, id, checksum - late FROM checksums WHERE {chosen}", values)
    target.executemany("INSERT INTO checksums (kind, id, checksum) VALUES (?, ?, ?)", rows)


def _read_columns(connection: sqlite3.Connection, table: str) -> dict[str, int]:
    """Return the columns of a table, in order, and the place of each in its primary key; 0: it is not in it."""
    rows = connection.execute("SELECT name, pk FROM pragma_table_info(?) ORDER BY cid", (table,))
    return dict(rows)


def _call(columns: dict[str, int], prefix: str = "") -> str:
    """Return the SQL of a row's CRC-32. Texts become bytes, since they may not be UTF-8.

    Blobs, which asymbp never writes, become texts: a text that became a blob has another CRC-32.
    """
    names = [prefix + name for name in columns]
    kinds = "WHEN 'text' THEN CAST({0} AS BLOB) WHEN 'blob' THEN hex({0}) ELSE {0}"
    values = (f"CASE typeof({name}) {kinds.format(name)} END" for name in names)
    return f"{_FUNCTION}({', '.join(values)})"


def _add_to(kind: str, owner: str, difference: str) -> str:
    return (
        f"INSERT INTO checksums (kind, id, checksum) VALUES ('{kind}', {owner}, {difference}) "
        "ON CONFLICT (kind, id) DO UPDATE SET checksum = checksum + excluded.checksum"
    )


def _sums(connection: sqlite3.Connection) -> str:
    """Return the SQL of (kind, id, sum of the CRC-32s) of the rows of every table."""
    return " UNION ALL ".join(
        f"SELECT '{kind}' AS kind, {owner} AS id, total({_call(_read_columns(connection, table))}) AS sum "
        f"FROM {table} GROUP BY {owner}"
        for table, (kind, owner) in _OWNERS.items()
    )


def take(connection: sqlite3.Connection) -> None:
    """Take the checksums of all that is stored as it is, however it has become so."""
    _add_function(connection)
    connection.execute("DELETE FROM checksums")
    connection.execute(
        "INSERT INTO checksums SELECT kind, id, CAST(total(sum) AS INTEGER) + 1, 1 "
        f"FROM ({_sums(connection)}) GROUP BY kind, id"
    )


def change_rows(connection: sqlite3.Connection, statement: str) -> None:
    """Execute a statement that gives all rows another form, and take their checksums anew.

    What was damaged before stays so, and what had a checksum from the start has one.
    """
    _add_function(connection)
    for name, query in (
        ("early", "SELECT kind, id FROM checksums WHERE NOT late"),
        ("damaged", list_damaged(connection)),
    ):
        connection.execute(f"CREATE TEMP TABLE {name} AS {query}")
    connection.execute(statement)
    take(connection)
    connection.execute(
        "UPDATE checksums SET checksum = checksum - 1, late = 0 WHERE (kind, id) IN (SELECT kind, id FROM early)"
    )
    connection.execute(
        "INSERT INTO checksums (kind, id, checksum) SELECT kind, id, 1 FROM damaged "
        "WHERE kind IS NOT NULL AND id IS NOT NULL ON CONFLICT (kind, id) DO UPDATE SET checksum = checksum + 1"
    )
    for name in ("early", "damaged"):
        connection.execute(f"DROP TABLE temp.{name}")


def list_damaged(connection: sqlite3.Connection) -> str:
    """Return the SQL of (kind, id) of everything that is not as it was written."""
    _add_function(connection)
    return (
        f"SELECT kind, id FROM ({_sums(connection)} UNION ALL SELECT kind, id, late - checksum FROM checksums) "
        "GROUP BY kind, id HAVING total(sum) <> 0 ORDER BY kind, id"
    )


def find_damaged(connection: sqlite3.Connection) -> list[Owner]:
    """Return everything that is not as it was written."""
    rows = connection.execute(f"SELECT CAST(kind AS BLOB), CAST(id AS BLOB) FROM ({list_damaged(connection)})")
    return [Owner(*((name or b"").decode(errors="replace") for name in row)) for row in rows]


def verify(connection: sqlite3.Connection) -> None:
    """Raise DamageFound if rows are not as they were written, or SQLite finds the file damaged."""
    owners = find_damaged(connection)
    if owners:
        names = list_some([printable_path(str(owner)) for owner in owners], 5)
        raise DamageFound(f"what was written of {names} has changed")
    ((message,),) = connection.execute("PRAGMA integrity_check(1)")
    if message != "ok":
        raise DamageFound(printable_path(message.strip().splitlines()[-1]))
