"""Databases that another program locks: how long they are waited for, and who is told."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from asymbp_cli.errors import StoreLockedError

T = TypeVar("T")
PATIENCE_SECONDS = 1.0  # that SQLite waits before anybody is told
LONGEST_SECONDS = 10.0  # of a wait in all
_BUSY = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED

OnWait = Callable[[str], None]  # told what is waited for


def ignore(message: str) -> None:
    """Tell nobody."""


def wait_until_free(act: Callable[[], T], path: Path, on_wait: OnWait = ignore) -> T:
    """Return the result of `act`, which is repeated while it raises StoreLockedError, for 10 seconds at most.

    `on_wait` is told once what is waited for. Raises the last StoreLockedError.
    """
    last_attempt = time.monotonic() + LONGEST_SECONDS - PATIENCE_SECONDS
    while True:
        try:
            return act()
        except StoreLockedError:
            if time.monotonic() > last_attempt:
                raise
            on_wait(f"{path} is locked by another program: waiting for it")
            on_wait = ignore


def copy_database(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Give `target` the content of `source`, in one transaction; both wait as long as their timeouts say.

    Raises sqlite3.OperationalError if either is locked: `backup` by itself would try for ever.
    """

    def check(status: int, remaining: int, total: int) -> None:
        if status in _BUSY:
            raise sqlite3.OperationalError("database is locked")

    source.backup(target, progress=check)
