"""A database that another program locks for a while: a study goes on once it is free, and nothing is missing."""

import re
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner

from asymbp_cli.cli.app import cli
from asymbp_cli.errors import StoreLockedError, StudyInterrupted
from asymbp_cli.events import CheckpointDue, CheckpointSaved, EpochEnded, RunFinished
from asymbp_cli.executors import StudyEvent, StudyWaits
from asymbp_cli.files.paths import FILE_NAME
from asymbp_cli.results import database, journal, locked
from asymbp_cli.results.store import Store
from asymbp_cli.training import resume

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
    locked = f"{tmp_path / 'a' / FILE_NAME} is locked by another program"
    assert said == [f"{locked}; results stay in memory until it is free"]
    small_study.train(tmp_path / "b", GRID)
    assert small_study.numbers(tmp_path / "a") == small_study.numbers(tmp_path / "b")


@pytest.mark.parametrize("workers", [1, 2])
def test_training_goes_on_during_a_lock_and_no_checkpoint_is_ahead(tmp_path: Path, workers: int) -> None:
    """The lock ends once a run has finished, with epochs, ends and checkpoints of it still to be written."""
    browsers: list[Browser] = []
    seen: list[StudyEvent] = []

    def follow(event: StudyEvent) -> None:
        seen.append(event)
        if isinstance(event, CheckpointSaved) and event.epoch == 2 and not browsers:
            browsers.append(Browser(tmp_path / FILE_NAME))
        if isinstance(event, RunFinished) and not browsers[0].released.is_set():
            files = tmp_path / "checkpoints"
            with closing(sqlite3.connect(f"file:{tmp_path / FILE_NAME}?mode=ro", uri=True)) as reader:
                stored = dict(reader.execute("SELECT run, max(epoch) FROM epochs GROUP BY run"))
            saved = resume.saved_epochs(files, stored)
            assert 2 <= saved[event.run] <= stored[event.run] < GRID.protocol.epochs  # still there
            browsers[0].release()

    outcome = small_study.train(tmp_path, GRID, workers=workers, checkpoint_seconds=0.0, on_event=follow)
    assert len(outcome.finished) == 4
    assert any(isinstance(event, CheckpointDue) and event.postponed for event in seen)
    assert small_study.checkpoints(tmp_path) == []
    assert len(small_study.numbers(tmp_path)) == 4


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interruption_does_not_wait_for_the_lock_and_says_what_is_kept(tmp_path: Path, workers: int) -> None:
    began = 0.0

    def lock(event: StudyEvent) -> None:
        nonlocal began
        if isinstance(event, CheckpointSaved) and event.epoch == 2 and not stack:
            stack.append(Browser(tmp_path / "a" / FILE_NAME))
        if isinstance(event, EpochEnded) and event.epoch == 4:
            began = time.monotonic()
            raise KeyboardInterrupt

    stack: list[Browser] = []
    with pytest.raises(StudyInterrupted, match=r"on after epoch.* What came later is lost, since another program"):
        small_study.train(tmp_path / "a", GRID, workers=workers, checkpoint_seconds=0.0, on_event=lock)
    assert time.monotonic() - began < 2
    stack[0].release()
    with Store.open(tmp_path / "a") as store:
        stored = store.epochs_stored(GRID.all_runs())
        saved = resume.saved_epochs(store.checkpoints, stored)
    assert all(saved[run] <= stored[run] for run in stored)
    assert max(saved.values()) >= 2
    small_study.train(tmp_path / "a", GRID)
    small_study.train(tmp_path / "b", GRID)
    assert small_study.numbers(tmp_path / "a") == small_study.numbers(tmp_path / "b")


def test_an_interruption_of_the_last_wait_is_one(tmp_path: Path) -> None:
    """Everything is trained, nothing of it can be written, and the study waits."""

    def lock(event: StudyEvent) -> None:
        if isinstance(event, EpochEnded) and not stack:
            stack.append(Browser(tmp_path / FILE_NAME))
        if isinstance(event, RunFinished) and len(ended) == 3:
            threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()
        if isinstance(event, RunFinished):
            ended.append(event.run)

    stack: list[Browser] = []
    ended: list[str] = []
    with pytest.raises(StudyInterrupted, match=r"^4 runs start anew[.] What came later is lost"):
        small_study.train(tmp_path, GRID, on_event=lock)
    assert len(ended) == 4
    stack[0].release()


def test_an_interruption_of_the_first_wait_is_one(tmp_path: Path) -> None:
    small_study.train(tmp_path, GRID)
    with browsing(tmp_path):
        threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            small_study.train(tmp_path, small_study.grid("BM"))
        assert time.monotonic() - began < 3


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


def test_a_reader_that_never_ends_stops_no_checkpoint(tmp_path: Path) -> None:
    """What checkpoints stand on stays in the log. Of a copy without it, that is said."""
    small_study.train(tmp_path / "a", small_study.grid("BM"))
    copy = tmp_path / "copy"
    with closing(sqlite3.connect(tmp_path / "a" / FILE_NAME, isolation_level=None)) as reader:

        def copy_alone(event: StudyEvent) -> None:
            if isinstance(event, EpochEnded) and not reader.in_transaction:
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM epochs").fetchall()
            if isinstance(event, CheckpointSaved) and event.epoch == 4 and not copy.exists():
                shutil.copytree(tmp_path / "a" / "checkpoints", copy / "checkpoints")
                shutil.copyfile(tmp_path / "a" / FILE_NAME, copy / FILE_NAME)

        small_study.train(tmp_path / "a", GRID, checkpoint_seconds=0.0, on_event=copy_alone)
    saved = resume.all_saved_epochs(copy / "checkpoints")
    assert set(saved.values()) == {4}
    found = CliRunner().invoke(cli, ["store", "check", "--results", str(copy)])
    assert re.search(r"the latest rows are missing|is damaged", found.output + str(found.exception))
    small_study.train(tmp_path / "b", small_study.grid("BM"), GRID)
    assert small_study.numbers(tmp_path / "a") == small_study.numbers(tmp_path / "b")


def test_only_the_study_that_was_interrupted_hurries(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        with store.writing():
            store.hurry()
        with store.writing(), browsing(tmp_path) as browser:
            browser.release_later()
            store.save_grid(GRID)  # waits
        assert store.grids() == [GRID]


def test_a_reader_waits_for_the_time_it_always_has(tmp_path: Path) -> None:
    small_study.train(tmp_path, GRID)
    with Store.open(tmp_path) as store:
        with store.writing():
            pass
        assert store._connection.execute("PRAGMA busy_timeout").fetchone() == (1_000,)
        with suppress(StoreLockedError), browsing(tmp_path):
            assert len(store.runs()) == 4


@contextmanager
def closing_to_readers(directory: Path) -> Iterator[sqlite3.Connection]:
    """Another program, which lets nobody read either."""
    with closing(sqlite3.connect(directory / FILE_NAME, isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        yield other


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (database, locked):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(locked, "LONGEST_SECONDS", 0.6)


@pytest.mark.usefixtures("impatient")
def test_a_reader_says_soon_that_it_waits_and_goes_on_once_it_can(tmp_path: Path) -> None:
    small_study.train(tmp_path, GRID)
    with closing_to_readers(tmp_path) as other:
        began, threads = time.monotonic(), []

        def release(message: str) -> None:
            assert time.monotonic() - began < 0.5
            said.append(message)
            threads.append(threading.Timer(0.1, other.close))
            threads[0].start()

        said: list[str] = []
        with Store.open(tmp_path, create=False, on_wait=release) as store:
            assert len(store.runs()) == 4
    assert said == [f"{tmp_path / FILE_NAME} is locked by another program: waiting for it"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "line", ["ls runs", "report", "conclusions", "store export x.xz", "show 1", "store prune"]
)
def test_a_reader_waits_no_longer_than_it_says(line: str, tmp_path: Path) -> None:
    small_study.train(tmp_path, GRID)
    with closing_to_readers(tmp_path):
        done = CliRunner().invoke(cli, [*line.split(), "--results", str(tmp_path)], standalone_mode=False)
    assert "is locked by another program. Close that program" in str(done.exception)
    assert done.stderr == f"{tmp_path / FILE_NAME} is locked by another program: waiting for it\n"
