"""A cluster that does not answer is named, and ends no study whose jobs run."""

import signal
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import fake_engine
import pytest
import small_study
from fake_cluster import FakeCluster, check, command, killed, train
from fake_cluster import _quick as _quick
from fake_cluster import commands as commands

from asymbp_cli.errors import StudyInterrupted, UsageError
from asymbp_cli.events import EpochEnded
from asymbp_cli.executors import StudyEvent, StudyWaits, Train
from asymbp_cli.executors.slurm import cluster, executor
from asymbp_cli.executors.slurm.options import SlurmOptions


@dataclass
class Silent(FakeCluster):
    """Does not answer for a while, twice."""

    looks: int = 0

    def ended(self, ids: Collection[str]) -> dict[str, str]:
        self.looks += 1
        if self.looks in (1, 2, 3, 5, 6):
            raise UsageError("the cluster does not answer: squeue has taken more than 60 s")
        return super().ended(ids) if self.looks > 6 else {}


def test_a_cluster_that_does_not_answer_is_named_once_and_asked_again(tmp_path: Path) -> None:
    fake = Silent(tmp_path / "scratch", "NODE_FAIL", 1)
    events = train(tmp_path, fake)
    silence = "the cluster does not answer: squeue has taken more than 60 s"
    waits = [event.message for event in events if isinstance(event, StudyWaits)]
    assert waits == [f"{silence}. Jobs train on meanwhile, and it is asked again"] * 2
    assert fake.cancelled == []
    check(tmp_path)


def test_jobs_are_taken_over_though_the_cluster_does_not_answer(tmp_path: Path) -> None:
    fake = Silent(tmp_path / "scratch", looks=10)
    killed(tmp_path, fake, 3)
    fake.looks = 0
    train(tmp_path, fake)
    assert (fake.count, fake.cancelled) == (1, [])
    check(tmp_path)


@pytest.fixture
def hanging(commands: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands of SLURM that do not answer."""
    monkeypatch.setattr(cluster, "_COMMAND_SECONDS", 0.2)
    for name in ("sbatch", "squeue", "sacct", "scancel"):
        (commands / name).write_text(f"#!/bin/sh\necho $$ > {commands}/{name}.pid\nexec sleep 60\n")
        (commands / name).chmod(0o755)
    command(commands, "srun")
    return commands


def test_commands_that_hang_end_and_are_named(hanging: Path, tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="not run: submitit is not installed (pip install 'asymbp[slurm]')")
    with pytest.raises(UsageError, match=r"^the cluster does not answer: sbatch has taken more .*Type sinfo"):
        cluster.check_cluster(SlurmOptions(), tmp_path)
    opened = cluster.open_cluster(SlurmOptions(), tmp_path / "logs")
    plain = type(opened._executor)._make_submission_command  # type: ignore[attr-defined]
    for places in ([tmp_path], [tmp_path, tmp_path]):  # one job, an array
        (hanging / "sbatch.pid").unlink()
        with pytest.raises(UsageError, match=r"^the cluster does not answer: sbatch has taken more than"):
            opened.submit(places, fake_engine.train)
        assert not small_study.alive(int((hanging / "sbatch.pid").read_text()))
    assert type(opened._executor)._make_submission_command is plain  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match=r"^the cluster does not answer: squeue has taken more than"):
        opened.ended(["1"])
    assert not opened.cancel(["1"])
    command(hanging, "squeue")
    assert opened.ended(["1", "2"]) == {"1": "UNKNOWN", "2": "UNKNOWN"}


def test_whoever_leaves_waits_only_a_moment_for_each_command(
    hanging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_COMMAND_SECONDS", 60.0)
    monkeypatch.setattr(cluster, "_HURRIED_SECONDS", 0.2)
    slurm = cluster._Slurm(None)
    slurm.hurry()
    assert not slurm.cancel(["1"])
    with pytest.raises(UsageError, match="squeue has taken more than 0 s"):
        slurm.ended(["1"])


class Deaf(FakeCluster):
    """Does not hear that jobs are to end."""

    def cancel(self, ids: Collection[str]) -> bool:
        return not ids


def test_jobs_that_cannot_be_told_to_end_are_named_and_taken_over_later(tmp_path: Path) -> None:
    def interrupt(event: StudyEvent) -> None:
        if isinstance(event, EpochEnded):
            raise KeyboardInterrupt

    deaf = Deaf(tmp_path / "scratch")
    with pytest.raises(StudyInterrupted, match=r"so jobs train on\. Type scancel 1 to end them$"):
        train(tmp_path, deaf, on_event=interrupt)
    train(tmp_path, deaf)
    assert deaf.count == 1
    check(tmp_path)


def test_an_interruption_does_not_wait_for_a_cluster_that_accepts_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(FakeCluster):
        def submit(self, places: Sequence[Path], train: Train) -> list[str]:
            signal.raise_signal(signal.SIGINT)
            time.sleep(60)
            raise AssertionError("nothing has interrupted it")

    monkeypatch.setattr(executor, "_SUBMITTING_SECONDS", 1)
    with pytest.raises(StudyInterrupted, match=r"has not answered sbatch\. .* Type squeue --me"):
        train(tmp_path, Hanging(tmp_path / "scratch"))
    assert not (tmp_path / "results" / "jobs").exists()
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    train(tmp_path, FakeCluster(tmp_path / "scratch"))
    check(tmp_path)
