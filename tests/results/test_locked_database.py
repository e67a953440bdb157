"""A database that another program locks for a while: a study goes on once it is free, and nothing is missing."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import small_study

from asymbp_cli.errors import StoreLockedError
from asymbp_cli.events import EpochEnded
from asymbp_cli.executors import StudyEvent, StudyWaits
from asymbp_cli.paths import FILE_NAME
from asymbp_cli.results import journal
from asymbp_cli.results.store import Store

GRID = small_study.grid(epochs=6)
SECONDS = 1.0  # of a lock: many times as long as a single attempt waits


class Browser:
    """Another program, which locks the database with an edit that it does not save."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("BEGIN IMMEDIATE")
        self.released = threading.Event()

    def release(self) -> None:
        if not self.released.is_set():
            self.released.set()
            self._connection.close()

    def release_later(self) -> None:
        threading.Timer(SECONDS, self.release).start()


@contextmanager
def browsing(directory: Path) -> Iterator[Browser]:
    browser = Browser(directory / FILE_NAME)
    try:
        yield browser
    finally:
        browser.release()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("checkpoint_seconds", [0.0, 60.0])
def test_a_study_outlasts_a_lock_and_says_once_that_it_waits(
    tmp_path: Path, workers: int, checkpoint_seconds: float
) -> None:
    browsers: list[Browser] = []
    said: list[str] = []

    def lock(event: StudyEvent) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 2 and not browsers:
            browsers.append(Browser(tmp_path / "a" / FILE_NAME))
            browsers[0].release_later()
        if isinstance(event, StudyWaits):
            assert not browsers[0].released.is_set()
            said.append(event.message)

    outcome = small_study.train(
        tmp_path / "a", GRID, workers=workers, checkpoint_seconds=checkpoint_seconds, on_event=lock
    )
    assert browsers[0].released.is_set()
    assert (len(outcome.finished), outcome.failed) == (4, {})
    assert said == [f"{tmp_path / 'a' / FILE_NAME} is locked by another program; waiting"]
    small_study.train(tmp_path / "b", GRID)
    assert small_study.numbers(tmp_path / "a") == small_study.numbers(tmp_path / "b")


def test_an_interruption_does_not_wait_for_the_lock(tmp_path: Path) -> None:
    began = 0.0

    def lock(event: StudyEvent) -> None:
        nonlocal began
        if isinstance(event, EpochEnded) and event.epoch == 2:
            stack.append(Browser(tmp_path / FILE_NAME))
            began = time.monotonic()
            raise KeyboardInterrupt

    stack: list[Browser] = []
    with pytest.raises(StoreLockedError, match="is locked by another program"):
        small_study.train(tmp_path, GRID, on_event=lock)
    assert time.monotonic() - began < 2
    stack[0].release()


def test_what_is_noted_meanwhile_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_study.train(tmp_path, GRID)
    (run, *_) = GRID.all_runs()
    with Store.open(tmp_path) as store:
        (first, *_) = store.epochs([run])[run]
        monkeypatch.setattr(journal, "_MOST_STATEMENTS", 20)
        with store.writing(), browsing(tmp_path) as browser:
            browser.release_later()
            most = 0
            while not browser.released.is_set():
                store.record(first)
                most = max(most, len(store._journal._statements))
            assert 20 < most < 25


def test_a_reader_waits_for_the_time_it_always_has(tmp_path: Path) -> None:
    small_study.train(tmp_path, GRID)
    with Store.open(tmp_path) as store:
        with store.writing():
            pass
        assert store._connection.execute("PRAGMA busy_timeout").fetchone() == (10_000,)
        with suppress(StoreLockedError), browsing(tmp_path):
            assert len(store.runs()) == 4
