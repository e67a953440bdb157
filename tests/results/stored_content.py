"""Contents of stores for tests, trained by the fake engine."""

from dataclasses import replace
from pathlib import Path

import small_study

from asymbp_cli.results.contents import Contents, StoredRun
from asymbp_cli.results.store import Store


def trained(directory: Path, *methods: str, epochs: int = 4) -> Contents:
    """Return the contents of a store with a whole small study; one of its runs diverges."""
    grid = small_study.grid(*methods, epochs=epochs, multipliers=(1000.0, 1.0))
    small_study.train(directory, grid, command="asymbp reproduce --table 2")
    return load(directory)


def load(directory: Path) -> Contents:
    """Return the contents of the store in `directory`."""
    with Store.open(directory, create=False) as store:
        return store.contents()


def cut(stored: StoredRun, epochs: int) -> StoredRun:
    """Return a run as it was after `epochs`; whole if it had no more."""
    if epochs >= len(stored.epochs):
        return stored
    attempts = tuple(replace(attempt, outcome="interrupted") for attempt in stored.attempts)
    return replace(stored, state=None, attempts=attempts, epochs=stored.epochs[:epochs])


def with_runs(contents: Contents, **runs: StoredRun) -> Contents:
    """Return contents with these runs only."""
    return replace(contents, runs=runs)
