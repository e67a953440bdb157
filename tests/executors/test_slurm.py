"""Studies in jobs of a cluster, for which processes of this machine stand in (submitit's local executor)."""

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import cluster_trainings
import fake_engine
import pytest
import small_study
from local_cluster import (
    PATIENCE,
    check,
    driver,
    epochs_sent,
    have_both_sent,
    infos,
    options,
    pids,
    train,
)
from local_cluster import _cluster as _cluster
from small_study import wait_for

import asymbp_cli
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import DataError, UsageError
from asymbp_cli.events import CheckpointSaved
from asymbp_cli.executors import StackFailed, StackStarted, StudyEvent
from asymbp_cli.executors.job import train as real_train
from asymbp_cli.executors.slurm import cluster, folders
from asymbp_cli.results.store import Store


def test_a_study_of_jobs_has_the_bits_of_one_in_this_process(tmp_path: Path) -> None:
    info = prepare("digits", (8, 8, 1), DataSource(cache_dir=tmp_path / "cache"))
    grid = small_study.grid("SGD", epochs=3, rows=(small_study.row(info.fingerprint),))
    for name, executor in (("inline", None), ("jobs", options())):
        small_study.train(
            tmp_path / name,
            grid,
            infos={info.fingerprint: info},
            train=real_train,
            executor=executor,
            checkpoint_seconds=0.0,
            keep_weights="best",
        )
    assert small_study.numbers(tmp_path / "jobs") == small_study.numbers(tmp_path / "inline")
    jobs, inline = (sorted((tmp_path / name / "weights").iterdir()) for name in ("jobs", "inline"))
    assert [path.read_bytes() for path in jobs] == [path.read_bytes() for path in inline]
    assert len(jobs) == 2


def test_jobs_leave_nothing_behind(tmp_path: Path) -> None:
    events = train(tmp_path)
    assert len(pids(tmp_path)) == 2
    assert [event.start_epoch for event in events if isinstance(event, StackStarted)] == [0, 0]
    check(tmp_path)


def test_no_file_of_the_working_directory_is_imported_in_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("random.py").write_text("open('imported', 'w').close()\n")
    train(tmp_path)
    assert not Path("imported").exists()
    check(tmp_path)


def test_a_worker_that_is_killed_goes_on_from_the_checkpoints_that_it_had_sent(tmp_path: Path) -> None:
    events = train(tmp_path, cluster_trainings.killed_once)
    failed = [event for event in events if isinstance(event, StackFailed)]
    assert len(failed) == 2
    for event in failed:
        assert event.remedy == "once more"
        assert "ended without a word" in event.message
    assert sorted(event.start_epoch for event in events if isinstance(event, StackStarted)) == [0, 0, 2, 2]
    assert list((tmp_path / "temporary").iterdir()) == []  # what it left there, the next one has deleted
    check(tmp_path)


def test_a_job_whose_time_is_up_hands_its_stack_to_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_EPOCH_SECONDS", "1")
    told: list[int] = []

    def watch(event: StudyEvent) -> None:
        if not told and have_both_sent(tmp_path, 1):
            told.extend(filter(small_study.alive, pids(tmp_path)))
            for pid in told:
                os.kill(pid, signal.SIGUSR2)  # as SLURM does before a limit

    events = train(tmp_path, on_event=watch, checkpoint_seconds=60.0)
    failed = [event for event in events if isinstance(event, StackFailed)]
    assert 1 <= len(failed) <= len(told)
    for event in failed:
        assert event.message == "the worker was told to stop"
        assert event.remedy == "from where they were saved"
    starts = [event.start_epoch for event in events if isinstance(event, StackStarted)]
    assert all(start >= 1 for start in starts[2:])
    check(tmp_path)


@pytest.mark.parametrize("still_running", [True, False])
def test_a_driver_that_was_killed_takes_in_what_came_meanwhile(
    tmp_path: Path, still_running: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_EPOCH_SECONDS", "1")

    def are_both_training() -> bool:
        found = folders.find_folders(tmp_path / "results")
        return len(pids(tmp_path)) == 2 and epochs_sent(tmp_path) >= 2 and all(map(folders.read_id, found))

    with driver(tmp_path) as process:
        wait_for(are_both_training, seconds=PATIENCE)
        process.kill()
    if not still_running:
        wait_for(lambda: not any(map(small_study.alive, pids(tmp_path))), seconds=PATIENCE)
    monkeypatch.setenv("FAKE_EPOCH_SECONDS", "30")  # of a job that is submitted anew
    events = train(tmp_path)
    assert len(pids(tmp_path)) == 2
    assert not [event for event in events if isinstance(event, StackFailed)]
    check(tmp_path)


def test_a_driver_that_was_killed_before_it_noted_its_jobs_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_EPOCH_SECONDS", "1")
    monkeypatch.setenv("CLUSTER_DRIVER_FORGETS", "1")
    with driver(tmp_path) as process:
        wait_for(lambda: len(pids(tmp_path)) == 2 and epochs_sent(tmp_path) >= 2, seconds=PATIENCE)
        process.kill()
    events = train(tmp_path)
    assert len(pids(tmp_path)) == 2
    assert not [event for event in events if isinstance(event, StackFailed)]
    check(tmp_path)


def test_an_interrupted_study_saves_what_its_workers_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_EPOCH_SECONDS", "1")
    with driver(tmp_path) as process:
        wait_for(lambda: have_both_sent(tmp_path, 2), seconds=PATIENCE)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=PATIENCE)
    assert b"go on after epoch" in output, output
    assert b"ResourceWarning" not in output, output  # though the jobs may still save
    wait_for(lambda: not any(map(small_study.alive, pids(tmp_path))), seconds=PATIENCE)
    monkeypatch.setenv("FAKE_EPOCH_SECONDS", "0")
    events = train(tmp_path)
    assert all(event.start_epoch >= 2 for event in events if isinstance(event, StackStarted))
    check(tmp_path)


def test_a_damaged_line_is_the_failure_of_its_job_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_EPOCH_SECONDS", "0.5")
    damaged: list[Path] = []

    def watch(event: StudyEvent) -> None:
        found = list((tmp_path / "results" / "jobs").glob("*/events.jsonl"))
        if isinstance(event, CheckpointSaved) and not damaged and found:
            damaged.append(min(found, key=lambda path: path.stat().st_size))  # which has not ended
            with damaged[0].open("ab") as file:
                file.write(b"not a message\n")

    events = train(tmp_path, on_event=watch)
    (failed,) = [event for event in events if isinstance(event, StackFailed)]
    assert "a job cannot be read: a line of" in failed.message
    check(tmp_path)


def test_what_the_user_can_mend_ends_the_study(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the cache has gone"):
        train(tmp_path, fake_engine.data_is_gone)
    wait_for(lambda: not any(map(small_study.alive, pids(tmp_path))), seconds=PATIENCE)
    train(tmp_path)
    check(tmp_path)


def test_data_that_the_node_does_not_see_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the decoded images are not where .* can see them\. .*--cache-dir DIR"):
        train(tmp_path, infos=small_study.INFOS)


def test_jobs_of_other_studies_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_EPOCH_SECONDS", "1")
    with driver(tmp_path) as process:
        monkeypatch.setenv("FAKE_EPOCH_SECONDS", "0")
        wait_for(lambda: len(folders.find_folders(tmp_path / "results")) == 2, seconds=PATIENCE)
        wait_for(lambda: all(map(folders.read_id, folders.find_folders(tmp_path / "results"))))
        process.kill()
    found = folders.find_folders(tmp_path / "results")
    other = small_study.grid("uSF", epochs=2)
    small_study.train(
        tmp_path / "results", other, infos=infos(tmp_path), train=cluster_trainings.train, executor=options()
    )
    assert folders.find_folders(tmp_path / "results") == found
    broken = found[0] / "job.json"
    broken.write_bytes(b"{}")
    train(tmp_path)
    with Store.open(tmp_path / "results") as store:
        assert len(store.finished_ids()) == 6  # and those of the baseline of the other grid
    assert folders.find_folders(tmp_path / "results") == []


def test_results_whose_name_means_something_else_to_slurm_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a%j").mkdir()
    with pytest.raises(UsageError, match=r'cannot write into .*/a%j/results, since it reads "%".*--results DIR'):
        train(tmp_path / "a%j", infos=small_study.INFOS)
    assert not (tmp_path / "a%j/results").exists()


def test_without_submitit_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UsageError, match=r"needs submitit, .*pip install 'asymbp\[slurm\]'"):
        train(tmp_path)
    assert not (tmp_path / "results").exists()


def test_a_job_imports_the_program_from_where_its_driver_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a checkout, too, that is not installed."""
    seen: list[str | None] = []

    class Noting:
        def update_parameters(self, **_: object) -> None:
            pass

        def submit(self, *_: object) -> SimpleNamespace:
            seen.append(os.environ.get("PYTHONPATH"))
            return SimpleNamespace(job_id="1", _process=SimpleNamespace(wait=lambda: 0))

        def map_array(self, *_: object) -> list[SimpleNamespace]:
            return [self.submit()]

        def _make_submission_command(self, script: str) -> list[str]:
            return []

    monkeypatch.setattr("asymbp_cli.spawn._is_found", lambda places: False)
    monkeypatch.setenv("PYTHONPATH", "/shared")
    cluster._Local(Noting(), options()).submit([tmp_path], fake_engine.train)
    cluster._Slurm(Noting()).submit([tmp_path], fake_engine.train)
    assert seen == [f"{Path(asymbp_cli.__file__).parents[1]}{os.pathsep}/shared"] * 2
    assert os.environ["PYTHONPATH"] == "/shared"
