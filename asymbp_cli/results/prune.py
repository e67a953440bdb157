"""Unfinished runs that no table names: nothing shows them, and nothing continues them."""

import json
import sqlite3
from collections.abc import Collection
from itertools import chain

from asymbp_cli.results.contents import read_grids
from asymbp_cli.results.store import Store


def find_wanted(store: Store) -> set[str]:
    """Return the ids of all runs of all tables."""
    return set(chain.from_iterable(grid.all_runs() for grid in store.grids()))


def find_unfinished(store: Store, wanted: Collection[str]) -> list[str]:
    """Return the ids of the runs that have not ended, without those that are wanted."""
    return sorted({run.id for run in store.runs() if run.state in (None, "failed")}.difference(wanted))


def delete_unfinished(store: Store, run_ids: Collection[str]) -> None:
    """Delete runs in one transaction, unless a table names them by now, or they have ended.

    Raises StoreError if another process writes to the store.
    """

    def delete(connection: sqlite3.Connection) -> None:
        wanted = {run_id for stored in read_grids(connection).values() for run_id in stored.grid.all_runs()}
        ids = (json.dumps([run_id for run_id in run_ids if run_id not in wanted]),)
        chosen = "(SELECT id FROM runs WHERE state IS NULL AND id IN (SELECT value FROM json_each(?)))"
        for statement in (
            f"DELETE FROM epochs WHERE run IN {chosen}",
            f"DELETE FROM attempts WHERE run IN {chosen}",
            f"DELETE FROM runs WHERE id IN {chosen}",
        ):
            connection.execute(statement, ids)
        connection.execute("DELETE FROM checksums WHERE kind = 'runs' AND id NOT IN (SELECT id FROM runs)")

    store.write_together(delete)
