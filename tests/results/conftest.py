"""Stores, empty or with runs that have begun, and the contents of one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import small_study
from run_material import HERE, RUNS
from stored_content import trained, with_runs

from asymbp_cli.results.contents import Contents
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


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """What a small study has stored."""
    return trained(tmp_path_factory.mktemp("store"), "SGD", "uSF+BN")


@pytest.fixture(scope="module")
def run_id(contents: Contents) -> str:
    return next(run_id for run_id, stored in contents.runs.items() if stored.state == "finished")


@pytest.fixture(scope="module")
def small(contents: Contents) -> Contents:
    run_id, stored = next(iter(contents.runs.items()))
    return replace(with_runs(contents, **{run_id: stored}), grids={})
