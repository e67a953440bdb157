"""A file system that refuses folders of jobs for a moment ends no job; one that goes on to do so is named."""

import errno
import os
from pathlib import Path
from typing import Any

import flaky_files
import numpy as np
import pytest
import small_study
from fake_cluster import GRID, FakeCluster, check, killed, leave_job, train
from fake_cluster import _quick as _quick

from asymbp_cli.datasets.cache import read_info
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.resident import load
from asymbp_cli.datasets.transfer import read_arrays
from asymbp_cli.errors import StoreError
from asymbp_cli.events import EpochEnded
from asymbp_cli.executors import StackFailed, StackStarted, StudyEvent
from asymbp_cli.executors.remote.messages import FilesSent
from asymbp_cli.executors.remote.spool import Inbox, Outbox
from asymbp_cli.executors.slurm import executor, folders
from asymbp_cli.specs.protocol import Protocol


def failures(events: list[StudyEvent]) -> list[str]:
    return [event.message for event in events if isinstance(event, StackFailed)]


@pytest.mark.parametrize("times", [1, 3])
def test_a_study_goes_on_while_every_file_is_refused_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr(executor, "_LONGEST_POLL", 0.05)
    fake = FakeCluster(tmp_path / "scratch")
    with monkeypatch.context() as patch:
        refused = flaky_files.refuse(patch, tmp_path / "results" / "jobs", times)
        assert failures(train(tmp_path, fake)) == []
    reading, writing = {"open", "read_bytes", "stat", "listdir"}, {"mkdir", "touch", "replace", "rename", "unlink"}
    assert refused.keys() == reading | writing
    assert fake.cancelled == []
    check(tmp_path)


@pytest.mark.parametrize("after", [3, 9])
def test_jobs_are_taken_over_while_every_file_is_refused_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    fake = FakeCluster(tmp_path / "scratch")
    killed(tmp_path, fake, after)
    monkeypatch.setattr(executor, "_LONGEST_POLL", 0.05)
    with monkeypatch.context() as patch:
        refused = flaky_files.refuse(patch, tmp_path / "results" / "jobs", 2)
        assert failures(train(tmp_path, fake)) == []
    assert {"stat", "read_bytes"} <= refused.keys()
    assert (fake.count, fake.cancelled) == (1, [])
    check(tmp_path)


def test_a_folder_that_cannot_be_read_for_long_is_the_failure_of_its_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_UNREADABLE_SECONDS", 0.2)
    fake = FakeCluster(tmp_path / "scratch")
    read = Inbox.read

    def refuse(inbox: Inbox) -> object:
        if fake.count == 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO), "/jobs/1/events.jsonl")
        return read(inbox)

    monkeypatch.setattr(Inbox, "read", refuse)
    assert failures(train(tmp_path, fake)) == [
        "a job cannot be read: [Errno 5] Input/output error: '/jobs/1/events.jsonl', for 0 s"
    ]
    assert fake.cancelled == ["1"]
    check(tmp_path)


def test_folders_that_cannot_be_read_are_named_and_nothing_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeCluster(tmp_path / "scratch")
    folder = leave_job(tmp_path, fake)
    with monkeypatch.context() as patch:
        flaky_files.refuse(patch, tmp_path / "results" / "jobs", 1e9)
        with pytest.raises(StoreError, match=rf"cannot read {folder}/job\.json: Stale .*delete the folder"):
            train(tmp_path, fake)
    assert fake.cancelled == []
    assert folders.find_folders(tmp_path / "results") == [folder]
    train(tmp_path, fake)
    assert fake.count == 1
    check(tmp_path)


def test_a_file_that_is_refused_is_not_taken_for_one_that_was_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = FilesSent("weights", 3, {"a": b"weights"})
    with Outbox(tmp_path) as outbox:
        outbox.send(sent)
    inbox = Inbox(tmp_path)
    with monkeypatch.context() as patch:
        flaky_files.refuse(patch, tmp_path / "files", 1e9)
        with pytest.raises(OSError, match="Stale"):
            list(inbox.read())
    assert list(inbox.read()) == [sent]


def test_a_checkpoint_that_is_refused_is_neither_deleted_nor_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(event: StudyEvent) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small_study.train(tmp_path / "results", GRID, checkpoint_seconds=0.0, on_event=interrupt)
    kept = small_study.checkpoints(tmp_path / "results")
    assert kept
    with monkeypatch.context() as patch:
        flaky_files.refuse(patch, tmp_path / "results" / "checkpoints", 1e9)
        with pytest.raises(StoreError, match=r"cannot read the checkpoint .*: Stale .* or delete it"):
            small_study.train(tmp_path / "results", GRID)
    assert small_study.checkpoints(tmp_path / "results") == kept
    events: list[StudyEvent] = []
    with monkeypatch.context() as patch:
        flaky_files.refuse(patch, tmp_path / "results" / "checkpoints", 2, writing=False)  # as the engine is fake
        small_study.train(tmp_path / "results", GRID, on_event=events.append)
    assert [event.start_epoch for event in events if isinstance(event, StackStarted)] == [3]
    check(tmp_path)


def test_decoded_images_that_are_refused_for_a_moment_are_there(
    digits_info: DecodedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = flaky_files.refuse(monkeypatch, digits_info.path.parent, 2)
    plain, loads = np.load, list[Path]()

    def load_arrays(path: Path, **how: Any) -> Any:
        loads.append(path)
        if len(loads) <= 2:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
        return plain(path, **how)

    monkeypatch.setattr(np, "load", load_arrays)
    assert read_info(digits_info.path) == digits_info
    assert len(read_arrays(digits_info)) == 4
    assert refused["read_bytes"] == 2 * 5
    loads.clear()
    preprocessing = Protocol().preprocessing
    load(digits_info, device="cpu", preprocessing=preprocessing, validation_fraction=0.0, seed=0)
    assert len(loads) == 2 + 4
