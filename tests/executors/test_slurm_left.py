"""What a driver that was killed leaves, and what the next one makes of it."""

from pathlib import Path

import pytest
from fake_cluster import FakeCluster, Killed, check, killed, leave_job, train
from fake_cluster import _quick as _quick

from asymbp_cli.events import EpochEnded
from asymbp_cli.executors import StackFailed, StackStarted, StudyEvent, Train
from asymbp_cli.executors.slurm import executor, folders


@pytest.mark.parametrize("after", range(1, 11))
def test_a_driver_that_was_killed_takes_in_what_its_jobs_have_sent(tmp_path: Path, after: int) -> None:
    fake = FakeCluster(tmp_path / "scratch")
    killed(tmp_path, fake, after)
    events = train(tmp_path, fake)
    assert fake.count == 1  # nothing was submitted anew
    assert fake.cancelled == []
    assert not [event for event in events if isinstance(event, StackFailed)]
    check(tmp_path)


@pytest.mark.parametrize("state", ["", "NODE_FAIL"])
def test_a_job_that_died_without_a_driver_goes_on_and_does_not_count(tmp_path: Path, state: str) -> None:
    fake = FakeCluster(tmp_path / "scratch", "", 1)
    killed(tmp_path, fake, 2)
    fake.states["1"] = state or "FAILED"
    events = train(tmp_path, fake, attempts=1)
    (failed,) = [event for event in events if isinstance(event, StackFailed)]
    assert "ended while no study listened" in failed.message
    assert failed.remedy == "from where they were saved"
    check(tmp_path)


def test_jobs_that_had_not_begun_are_submitted_anew(tmp_path: Path) -> None:
    class Full(FakeCluster):
        def _run(self, place: Path, train: Train) -> str:
            self.count += 1
            return str(self.count)  # it waits

    full = Full(tmp_path / "scratch")

    def interrupt(event: StudyEvent) -> None:
        raise Killed

    with pytest.raises(Killed):
        train(tmp_path, full, on_event=interrupt)  # before it is submitted
    waiting = folders.find_folders(tmp_path / "results")
    assert waiting == []
    fake = FakeCluster(tmp_path / "scratch")
    events = train(tmp_path, fake)
    assert not [event for event in events if isinstance(event, StackFailed)]
    check(tmp_path)


def test_folders_that_nobody_can_read_or_that_have_no_id_are_cleared(tmp_path: Path) -> None:
    fake = FakeCluster(tmp_path / "scratch")
    folder = leave_job(tmp_path, fake)
    (folder / "id").unlink()
    broken = folder.with_name("broken")
    broken.mkdir()
    (broken / "job.json").write_bytes(b"{")
    (broken / "id").write_bytes(b"77")
    train(tmp_path, fake)
    assert fake.count == 2
    assert fake.cancelled[:1] == ["77"]
    check(tmp_path)


def test_what_a_job_sent_before_its_driver_was_killed_is_stored_only_once(tmp_path: Path) -> None:
    fake = FakeCluster(tmp_path / "scratch")
    killed(tmp_path, fake, 9)  # after the checkpoint of epoch 4
    events = train(tmp_path, fake)
    (started,) = [event for event in events if isinstance(event, StackStarted)]
    assert started.start_epoch == 4
    assert min(event.epoch for event in events if isinstance(event, EpochEnded)) == 5


def test_what_is_no_id_is_never_cancelled(tmp_path: Path) -> None:
    fake = FakeCluster(tmp_path / "scratch")
    folder = leave_job(tmp_path, fake)
    (folder / "id").write_text("--me")
    (folder / "job.json").write_text("{")
    train(tmp_path, fake)
    assert fake.cancelled == []
    check(tmp_path)


def test_an_id_that_a_worker_notes_while_its_job_is_taken_back_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeCluster(tmp_path / "scratch")
    folder = leave_job(tmp_path, fake)
    (folder / "id").unlink()

    def begin(place: Path) -> str | None:
        folders.note_id(place, "55")  # by the worker, which has read the job
        return folders.take_back(place)

    monkeypatch.setattr(executor, "take_back", begin)
    train(tmp_path, fake)
    assert fake.cancelled[:1] == ["55"]
    check(tmp_path)


def test_what_belongs_to_no_job_is_deleted(tmp_path: Path) -> None:
    jobs, logs = tmp_path / "results" / "jobs", folders.logs_directory(tmp_path / "results")
    (jobs / "half-made" / "checkpoints").mkdir(parents=True)
    logs.mkdir()
    (logs / "0123456789.pkl").touch()  # of a submission that was refused
    train(tmp_path, FakeCluster(tmp_path / "scratch"))
    check(tmp_path)


def test_what_a_driver_left_that_was_killed_while_it_submitted_is_deleted_in_the_end(tmp_path: Path) -> None:
    fake = FakeCluster(tmp_path / "scratch")
    killed(tmp_path, fake, 3)
    logs = folders.logs_directory(tmp_path / "results")
    logs.mkdir()
    (logs / "0123456789.pkl").touch()
    (folders.jobs_directory(tmp_path / "results") / "half-deleted" / "files").mkdir(parents=True)
    train(tmp_path, fake)
    assert fake.count == 1  # a folder was there when it began
    check(tmp_path)


def test_a_worker_writes_nothing_into_a_folder_that_is_being_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = folders.jobs_directory(tmp_path) / "job" / "files"
    files.mkdir(parents=True)
    delete, refused = folders.shutil.rmtree, []

    def write_meanwhile(path: Path, ignore_errors: bool) -> None:
        with pytest.raises(FileNotFoundError) as error:
            (files / "late").write_bytes(b"")
        refused.append(error)
        delete(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(folders.shutil, "rmtree", write_meanwhile)
    folders.discard(files.parent, tmp_path)
    assert len(refused) == 1
    assert list(folders.jobs_directory(tmp_path).iterdir()) == []


def test_no_link_to_the_script_of_a_job_is_left(tmp_path: Path) -> None:
    folder, logs = folders.jobs_directory(tmp_path) / "job", folders.logs_directory(tmp_path)
    for directory in (folder, logs):
        directory.mkdir(parents=True)
    for job_id in ("12", "13"):
        (logs / f"{job_id}_submission.sh").write_bytes(b"")
        (logs / f".submission_file_{job_id}.sh").symlink_to(logs / f"{job_id}_submission.sh")
    folders.note_id(folder, "12_0")
    folders.discard(folder, tmp_path)
    assert sorted(path.name for path in logs.iterdir()) == [".submission_file_13.sh", "13_submission.sh"]
