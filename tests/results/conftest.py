"""A store, empty or with runs that have begun."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import small_study
from run_material import HERE, RUNS

from asymbp_cli.results.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "results") as opened:
        yield opened


@pytest.fixture
def begun(store: Store) -> Iterator[Store]:
    """A store in which an attempt at all runs has begun."""
    with store.writing():
        store.save_dataset(small_study.INFO)
        store.begin(RUNS, 0, HERE)
        yield store
