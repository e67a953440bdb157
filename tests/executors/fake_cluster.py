"""A cluster that says what a real one cannot be made to say, commands of SLURM too, and studies on it."""

import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import small_study

from asymbp_cli.events import EpochEnded
from asymbp_cli.executors import StudyEvent, Train
from asymbp_cli.executors.registry import EXECUTORS, Kind
from asymbp_cli.executors.remote import worker
from asymbp_cli.executors.remote.messages import FilesSent
from asymbp_cli.executors.remote.spool import Outbox
from asymbp_cli.executors.slurm import executor, folders
from asymbp_cli.executors.slurm.executor import SlurmExecutor
from asymbp_cli.executors.slurm.options import SlurmOptions

GRID = small_study.grid("SGD", epochs=5, multipliers=(10.0, 1.0))
OPTIONS = SlurmOptions(workers=1)


@dataclass
class FakeCluster:
    """Trains jobs as they are submitted; the first `short` of them break off after the checkpoint of epoch 2."""

    scratch: Path
    state: str = ""  # of those that break off
    short: int = 0
    look_seconds: float = 0.0
    states: dict[str, str] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    count: int = 0

    def submit(self, places: Sequence[Path], train: Train) -> list[str]:
        return [self._run(place, train) for place in places]

    def _run(self, place: Path, train: Train) -> str:
        self.count += 1
        job_id = str(self.count)
        package = folders.read_package(place)
        with Outbox(place) as outbox:
            for message in worker.train(package, self.scratch / job_id, dict, train=train):
                outbox.send(message)
                if self.count <= self.short and isinstance(message, FilesSent) and message.epoch == 2:
                    if self.state:
                        self.states[job_id] = self.state
                    break
        return job_id

    def ended(self, ids: Collection[str]) -> dict[str, str]:
        return {job_id: self.states[job_id] for job_id in ids if job_id in self.states}

    def cancel(self, ids: Collection[str]) -> bool:
        self.cancelled += ids
        return True

    def hurry(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dataset of the small study has no arrays, and no file system needs time."""
    monkeypatch.setattr("asymbp_cli.executors.remote.package.receive", lambda info, fetch: info)
    monkeypatch.setattr(executor, "_STOPPING_SECONDS", 0.2)


def train(directory: Path, fake: FakeCluster, *, workers: int = 1, **changes: object) -> list[StudyEvent]:
    events: list[StudyEvent] = []

    def make(options: SlurmOptions, devices: Sequence[str], train: Train, place: Path) -> SlurmExecutor:
        return SlurmExecutor(fake, place, workers, train)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXECUTORS, "slurm", Kind(SlurmOptions, make, lambda options, place: None))
        small_study.train(
            directory / "results",
            GRID,
            workers=workers,
            checkpoint_seconds=0.0,
            **{"on_event": events.append, "executor": OPTIONS} | changes,  # type: ignore[arg-type]
        )
    return events


def check(directory: Path) -> None:
    small_study.train(directory / "undisturbed", GRID)
    expected = small_study.numbers(directory / "undisturbed")
    assert small_study.numbers(directory / "results") == expected
    assert not (directory / "results" / "jobs").exists()


class Killed(BaseException):
    """Stands for SIGKILL: nothing is tidied."""


def killed(directory: Path, fake: FakeCluster, after: int) -> None:
    """Train until so many epochs are told; then the driver is gone."""
    seen: list[StudyEvent] = []

    def watch(event: StudyEvent) -> None:
        seen.append(event)
        if sum(isinstance(each, EpochEnded) for each in seen) == after:
            raise Killed

    with pytest.raises(Killed):
        train(directory, fake, on_event=watch)
    fake.cancelled.clear()


def leave_job(directory: Path, fake: FakeCluster) -> Path:
    """Train until three epochs are told and the driver is gone; return the folder of the job that it leaves."""
    killed(directory, fake, 3)
    (folder,) = folders.find_folders(directory / "results")
    return folder


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands of SLURM that print what a test wants."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")
    return place


def command(place: Path, name: str, output: str = "", *, errors: str = "", code: int = 0) -> None:
    (place / f"{name}.txt").write_text(output)
    (place / f"{name}.err").write_text(errors)
    script = place / name
    script.write_text(
        f'#!/bin/sh\necho "$@" >> {script}.calls\ncat {script}.txt\ncat {script}.err >&2\nexit {code}\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
