"""A whole study in a process of its own that is killed or interrupted, and continued."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import small_study
import torch

from asymbp_cli.executors import StackStarted, StudyEvent
from asymbp_cli.results.store import Store
from asymbp_cli.training import resume

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    directory = tmp_path_factory.mktemp("uninterrupted")
    small_study.train(directory, small_study.grid(epochs=20))
    return small_study.numbers(directory)


@contextmanager
def study_process(
    directory: Path, workers: int, *more: str, epoch_seconds: float = 0.0
) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, str(TESTS / "small_study.py"), str(directory), str(workers), *more]
    environment = os.environ | {"FAKE_EPOCH_SECONDS": str(epoch_seconds)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True)
    with process:
        yield process
        with suppress(ProcessLookupError):
            process.kill()


def epochs_stored(directory: Path) -> int:
    if not (directory / "asymbp.sqlite").exists():
        return 0
    with Store.open(directory, create=False) as store:
        return sum(summary.epochs for summary in store.runs())


def wait_in(process: subprocess.Popen[bytes], condition: Callable[[], object]) -> None:
    """Wait until `condition()` holds while a study runs; fails with its last words should it end before."""

    def holds() -> object:
        if process.poll() is not None and process.stderr:
            pytest.fail(f"the study ended by itself: {process.stderr.read().decode()}")
        return condition()

    small_study.wait_for(holds, seconds=60)


def processes(directory: Path) -> list[int]:
    return [int(path.name.removeprefix("pid-")) for path in (directory / "checkpoints").glob("pid-*")]


@pytest.mark.parametrize("workers", [1, 2])
def test_kill_9_in_the_middle_and_again_gives_the_numbers_of_an_undisturbed_study(
    tmp_path: Path, workers: int, uninterrupted: dict[str, list[str]]
) -> None:
    for least in (1, 30):
        with study_process(tmp_path, workers, epoch_seconds=0.05) as process:
            wait_in(process, lambda least=least: epochs_stored(tmp_path) >= least)
            process.kill()
            assert process.wait() == -signal.SIGKILL
        small_study.wait_for(lambda: not any(map(small_study.alive, processes(tmp_path))), seconds=3)
        assert epochs_stored(tmp_path) < 20 * len(uninterrupted)  # it was in the middle
        with Store.open(tmp_path) as store:
            stored = store.epochs_stored(uninterrupted)
        saved = resume.saved_epochs(tmp_path / "checkpoints", uninterrupted)
        assert all(saved[run] <= stored[run] for run in saved)
    starts: list[StudyEvent] = []
    outcome = small_study.train(tmp_path, small_study.grid(epochs=20), workers=workers, on_event=starts.append)
    assert outcome.failed == {}
    assert max(report.start_epoch for report in starts if isinstance(report, StackStarted)) > 0
    assert small_study.numbers(tmp_path) == uninterrupted


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_all_processes_at_once_in_the_middle_of_an_epoch(tmp_path: Path, workers: int) -> None:
    with study_process(tmp_path, workers, epoch_seconds=60) as process:
        wait_in(process, lambda: len(processes(tmp_path)) == workers)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the parent and the workers
        _, errors = process.communicate(timeout=20)
    assert not any(map(small_study.alive, processes(tmp_path)))
    assert errors.decode().count("Traceback") == 1  # the parent's; the command line turns it into one sentence
    with Store.open(tmp_path, create=False) as store:
        assert {a.outcome for summary in store.runs() for a in store.run(summary.id).attempts} == {"interrupted"}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with results on digits, trained in this process without interruption, and the decoded images."""
    directory = tmp_path_factory.mktemp("digits")
    threads = torch.get_num_threads()
    outcome = small_study.train_digits(directory / "results", directory / "cache")
    assert (len(outcome.finished), outcome.failed) == (6, {})
    assert torch.get_num_threads() == threads
    return directory


def test_kill_9_and_resume_give_the_same_bits_on_digits(tmp_path: Path, digits: Path) -> None:
    expected = small_study.numbers(digits / "results")
    with study_process(tmp_path, 2, str(digits / "cache")) as process:
        wait_in(process, lambda: small_study.checkpoints(tmp_path) and epochs_stored(tmp_path) >= 4)
        process.kill()
    assert epochs_stored(tmp_path) < sum(map(len, expected.values()))  # it was in the middle
    starts: list[StudyEvent] = []
    outcome = small_study.train_digits(tmp_path, digits / "cache", on_event=starts.append)
    assert outcome.failed == {}
    assert any(report.start_epoch for report in starts if isinstance(report, StackStarted))
    assert small_study.numbers(tmp_path) == expected
