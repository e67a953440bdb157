"""Studies in jobs for which processes of this machine stand in, and drivers that are killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cluster_trainings
import numpy as np
import pytest
import small_study

from asymbp_cli.datasets.cache import write_info
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.executors import StudyEvent, Train
from asymbp_cli.executors.registry import load_executor
from asymbp_cli.executors.slurm.options import SlurmOptions

PATIENCE = 120.0  # seconds
TESTS = Path(__file__).parent.parent
GRID = small_study.grid("SGD", epochs=6, multipliers=(10.0, 1.0))


@pytest.fixture(autouse=True)
def _cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers find the tests' modules, and nothing is left running."""
    pytest.importorskip("submitit", reason="not run: submitit is not installed (pip install 'asymbp[slurm]')")
    for name in ("marks", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("CLUSTER_MARKS", str(tmp_path / "marks"))
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    yield
    for pid in pids(tmp_path):
        if small_study.alive(pid):
            os.kill(pid, signal.SIGKILL)


def environment() -> dict[str, str]:
    """Return the environment of programs that find what the tests find."""
    places = [*map(str, (TESTS, TESTS / "executors")), *filter(None, sys.path)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(places)}


def pids(directory: Path) -> list[int]:
    return [int(path.name.removeprefix("pid-")) for path in (directory / "marks").glob("pid-*")]


def infos(directory: Path) -> dict[str, DecodedDataset]:
    """Return the dataset of the small grid, with arrays that a worker finds; only real trainings read them."""
    info = small_study.INFO.model_copy(update={"directory": str(directory / "data")})
    if not info.path.exists():
        info.path.mkdir()
        for split, count in (("train", info.train_count), ("test", info.test_count)):
            np.save(info.path / f"x_{split}.npy", np.zeros((count, *info.shape), np.uint8))
            np.save(info.path / f"y_{split}.npy", np.zeros(count, np.int64))
        write_info(info, info.path)
    return {info.fingerprint: info}


def options(**changes: object) -> SlurmOptions:
    found = load_executor({"executor": "slurm", "cluster": "local", **changes})
    assert isinstance(found, SlurmOptions)
    return found


def train(
    directory: Path,
    train: Train = cluster_trainings.train,
    on_event: Callable[[StudyEvent], None] = lambda event: None,
    **changes: object,
) -> list[StudyEvent]:
    """Train the small grid in jobs; returns what happened."""
    events: list[StudyEvent] = []

    def note(event: StudyEvent) -> None:
        events.append(event)
        on_event(event)

    given = {"workers": 2, "checkpoint_seconds": 0.0, "executor": options(), "infos": infos(directory), **changes}
    small_study.train(directory / "results", GRID, train=train, on_event=note, **given)  # type: ignore[arg-type]
    return events


def undisturbed(directory: Path) -> dict[str, list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_EPOCH_SECONDS", "0")
        small_study.train(directory / "undisturbed", GRID)
    return small_study.numbers(directory / "undisturbed")


def check(directory: Path) -> None:
    """Check that all numbers are those of an undisturbed study, and that no file of a job is left."""
    assert small_study.numbers(directory / "results") == undisturbed(directory)
    assert not (directory / "results" / "jobs").exists()
    assert small_study.checkpoints(directory / "results") == []


def driver(directory: Path) -> "subprocess.Popen[bytes]":
    """Start a driver in a process of its own, which says if it leaves anything open."""
    command = [
        sys.executable,
        "-W",
        "default::ResourceWarning",
        str(Path(__file__).parent / "cluster_driver.py"),
        str(directory),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


def epochs_of_jobs(directory: Path) -> list[int]:
    """Return how many epochs each job has sent."""
    lines = (path.read_bytes() for path in (directory / "results" / "jobs").glob("*/events.jsonl"))
    return [text.count(b"EpochEnded") for text in lines]


def epochs_sent(directory: Path) -> int:
    return sum(epochs_of_jobs(directory))


def have_both_sent(directory: Path, epochs: int) -> bool:
    """Return whether each of two jobs has sent so many epochs, however late it began."""
    sent = epochs_of_jobs(directory)
    return len(sent) == 2 and min(sent) >= epochs
