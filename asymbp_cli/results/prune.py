"""Unfinished runs that no table names: nothing shows them, and nothing continues them."""

import json
import sqlite3
from collections.abc import Collection
from itertools import chain

from asymbp_cli.results.store import Store


def find_wanted(store: Store) -> set[str]:
    """Return the ids of all runs of all tables."""
    return set(chain.from_iterable(grid.all_runs() for grid in store.grids()))


def find_unfinished(store: Store, wanted: Collection[str]) -> list[str]:
    """Return the ids of the runs that have not ended, without those that are wanted."""
    return sorted({run.id for run in store.runs() if run.state in (None, "failed")}.difference(wanted))


def delete_runs(store: Store, run_ids: Collection[str]) -> None:
    """Delete runs with all that belongs to them, in one transaction. Raises StoreError."""
    ids = (json.dumps(list(run_ids)),)

    def delete(connection: sqlite3.Connection) -> None:
        for table, owner in (("epochs", "run"), ("attempts", "run"), ("runs", "id")):
            connection.execute(f"DELETE FROM {table} WHERE {owner} IN (SELECT value FROM json_each(?))", ids)
        connection.execute("DELETE FROM checksums WHERE kind = 'runs' AND id NOT IN (SELECT id FROM runs)")

    store.write_together(delete)
