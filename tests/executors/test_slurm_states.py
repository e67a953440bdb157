"""How jobs of a cluster end, with a cluster that says what a real one cannot be made to say."""

import os
import platform
import stat
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import fake_engine
import pytest
import small_study
from click.testing import CliRunner

from asymbp_cli.analysis.tables import fill_all
from asymbp_cli.cli.app import cli
from asymbp_cli.errors import StoreError, UsageError
from asymbp_cli.events import EpochEnded
from asymbp_cli.executors import StackFailed, StackStarted, StudyEvent, StudyWaits, Train
from asymbp_cli.executors.registry import EXECUTORS, Kind
from asymbp_cli.executors.remote import worker
from asymbp_cli.executors.remote.messages import FilesSent
from asymbp_cli.executors.remote.spool import Outbox
from asymbp_cli.executors.slurm import cluster, executor, folders
from asymbp_cli.executors.slurm.executor import SlurmExecutor
from asymbp_cli.executors.slurm.options import SlurmOptions
from asymbp_cli.report.provenance_listing import list_provenance
from asymbp_cli.results.store import Store

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

    def cancel(self, ids: Collection[str]) -> None:
        self.cancelled += ids


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


@pytest.mark.parametrize(
    ("state", "remedy", "words"),
    [
        ("NODE_FAIL", "once more", "ended without a word (NODE_FAIL)"),
        ("CANCELLED by 0", "once more", "ended without a word (CANCELLED)"),
        ("FAILED", "once more", "ended without a word (FAILED)"),
        ("PREEMPTED", "from where they were saved", "(PREEMPTED)"),
        ("TIMEOUT", "from where they were saved", "(TIMEOUT)"),
        ("OUT_OF_MEMORY", "in smaller stacks", "(OUT_OF_MEMORY)"),
    ],
)
def test_a_job_that_ends_without_a_word_goes_on_from_its_checkpoints(
    tmp_path: Path, state: str, remedy: str, words: str
) -> None:
    events = train(tmp_path, FakeCluster(tmp_path / "scratch", state, 1))
    (failed,) = [event for event in events if isinstance(event, StackFailed)]
    assert failed.remedy == remedy
    assert words in failed.message
    starts = [event.start_epoch for event in events if isinstance(event, StackStarted)]
    assert set(starts) == {0, 2}
    check(tmp_path)


@pytest.mark.parametrize(("memory", "sizes"), [(None, [2]), ("2 GB", [2]), ("1 MB", [1, 1])])
def test_stacks_have_the_size_of_the_memory_that_workers_are_said_to_have(
    tmp_path: Path, memory: str | None, sizes: list[int]
) -> None:
    events = train(tmp_path, FakeCluster(tmp_path / "scratch"), executor=SlurmOptions(workers=1, memory=memory))
    assert [len(event.runs) for event in events if isinstance(event, StackStarted)] == sizes


def test_jobs_that_are_preempted_again_and_again_use_no_attempts(tmp_path: Path) -> None:
    fake = FakeCluster(tmp_path / "scratch", "PREEMPTED", 1)
    events = train(tmp_path, fake)
    assert [event.retrying for event in events if isinstance(event, StackFailed)] == [True]


def test_nodes_that_fail_again_and_again_end_their_runs_but_not_the_study(tmp_path: Path) -> None:
    class Failing(FakeCluster):
        def _run(self, place: Path, train: Train) -> str:
            self.count += 1
            self.states[str(self.count)] = "NODE_FAIL"
            Outbox(place).__exit__(None, None, None)
            return str(self.count)

    events = train(tmp_path, Failing(tmp_path / "scratch"), attempts=2)
    last = [event for event in events if isinstance(event, StackFailed)][-1]
    assert not last.retrying
    assert "NODE_FAIL" in last.message
    assert "--attempts" in last.message


def test_a_job_that_never_began_may_not_see_the_directory(tmp_path: Path) -> None:
    class Blind(FakeCluster):
        def _run(self, place: Path, train: Train) -> str:
            self.count += 1
            if self.count > 1:
                self.count -= 1
                return super()._run(place, train)
            self.states["1"] = "FAILED"
            return "1"

    events = train(tmp_path, Blind(tmp_path / "scratch", look_seconds=0.0), train=fake_engine.says_where)
    (failed,) = [event for event in events if isinstance(event, StackFailed)]
    assert f"Perhaps the nodes do not see {tmp_path / 'results'}" in failed.message
    assert "--results DIR" in failed.message
    check_provenance(tmp_path / "results")


def check_provenance(results: Path) -> None:
    """Check that of two attempts the first one has no host and no time."""
    with Store.open(results, create=False) as store:
        runs = [run.id for run in store.runs()]
        first, second = store.run(runs[0]).attempts
        efforts = store.efforts()
        facts = list_provenance(fill_all(store, store.grids()), store).rows
    assert (first.host, first.device, second.host) == ("", "cpu", platform.node())
    assert sorted(effort.run for effort in efforts) == sorted(runs)
    assert [value for what, value in facts if what == "device"] == [f"{second.device} on {second.host}"]
    shown = CliRunner().invoke(cli, ["show", runs[0], "--results", str(results)]).output
    assert "from epoch 0: failed, no worker began it\n  job 1 of the cluster ended before it began" in shown
    assert f"from epoch 0: finished, {second.device} (AVX2) on {second.host}, asymbp" in shown


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
    killed(tmp_path, fake, 3)
    (folder,) = folders.find_folders(tmp_path / "results")
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
    killed(tmp_path, fake, 3)
    (folder,) = folders.find_folders(tmp_path / "results")
    (folder / "id").write_text("--me")
    (folder / "job.json").write_text("{")
    train(tmp_path, fake)
    assert fake.cancelled == []
    check(tmp_path)


def test_an_id_that_a_worker_notes_while_its_job_is_taken_back_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeCluster(tmp_path / "scratch")
    killed(tmp_path, fake, 3)
    (folder,) = folders.find_folders(tmp_path / "results")
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


def test_a_worker_that_never_spoke_is_not_one_that_sees_nothing(tmp_path: Path) -> None:
    class Dying(FakeCluster):
        def _run(self, place: Path, train: Train) -> str:
            if self.count:
                return super()._run(place, train)
            self.count += 1
            self.states["1"] = "FAILED"
            logs = folders.logs_directory(tmp_path / "results")
            logs.mkdir(parents=True)
            (logs / "1_0_log.out").touch()
            return "1"

    events = train(tmp_path, Dying(tmp_path / "scratch"))
    (failed,) = [event for event in events if isinstance(event, StackFailed)]
    assert failed.message == "job 1 of the cluster ended without a word (FAILED)"


def test_jobs_whose_ids_cannot_be_noted_are_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path, job_id: str) -> None:
        raise OSError(28, "No space left on device")

    fake = FakeCluster(tmp_path / "scratch")
    monkeypatch.setattr(folders, "note_id", fail)
    with pytest.raises(StoreError, match=r"cannot write .*: No space left on device\. Free some space"):
        train(tmp_path, fake)
    assert fake.cancelled == ["1"]
    assert not (tmp_path / "results" / "jobs").exists()


@dataclass
class Refusing(FakeCluster):
    """Refuses the second submission while the second job of the first one still runs."""

    submissions: int = 0
    late: list[tuple[Path, Train]] = field(default_factory=list)

    def submit(self, places: Sequence[Path], train: Train) -> list[str]:
        self.submissions += 1
        if self.submissions == 2:
            raise UsageError("the cluster refuses the jobs: it is full")
        if self.submissions == 1:
            self.late.append((places[1], train))
            return [self._run(places[0], train), "99"]
        return super().submit(places, train)

    def ended(self, ids: Collection[str]) -> dict[str, str]:
        while self.late and self.submissions > 2:
            super()._run(*self.late.pop())
        return super().ended(ids)


def test_what_is_refused_while_other_jobs_run_is_submitted_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_ASKING_SECONDS", 0.0)
    events = train(tmp_path, Refusing(tmp_path / "scratch", "NODE_FAIL", 1), workers=2)
    assert [event.message for event in events if isinstance(event, StudyWaits)] == [
        "the cluster refuses the jobs: it is full. Other jobs run meanwhile, and it is asked again"
    ]
    check(tmp_path)


def test_what_is_refused_while_no_job_runs_ends_the_study(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it is full"):
        train(tmp_path, Refusing(tmp_path / "scratch", submissions=1))
    assert not (tmp_path / "results" / "jobs").exists()


def test_an_error_that_the_user_can_mend_leaves_nothing_that_raises_it_again(tmp_path: Path) -> None:
    fake = FakeCluster(tmp_path / "scratch")
    with suppress(Exception):
        train(tmp_path, fake, train=fake_engine.data_is_gone)
    assert folders.find_folders(tmp_path / "results") == []
    train(tmp_path, fake)
    check(tmp_path)


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


def test_states_come_from_squeue_and_of_jobs_that_it_forgot_from_sacct(commands: Path) -> None:
    lines = "1_0|RUNNING 1_1|PENDING 1_2|NODE_FAIL 2|COMPLETED 3|CANCELLED 9|FAILED 4|REQUEUED"
    command(commands, "squeue", lines.replace(" ", "\n") + "\n")
    command(commands, "sacct", "5|TIMEOUT\n6|RUNNING\n")
    slurm = cluster._Slurm(None)
    assert slurm.ended([]) == {}
    assert not (commands / "squeue.calls").exists()
    slurm.ended(["1_0"])
    assert f"--user={os.getuid()}" in (commands / "squeue.calls").read_text().split()  # not what $USER says
    ids = ["1_0", "1_1", "1_2", "2", "3_0", "3_1", "4", "5", "6", "7"]
    assert slurm.ended(ids) == {
        "1_2": "NODE_FAIL",
        "2": "COMPLETED",
        "3_0": "CANCELLED",  # an array that was cancelled while it waited is listed as one
        "3_1": "CANCELLED",
        "5": "TIMEOUT",
        "6": "UNKNOWN",  # which the controller would know
        "7": "UNKNOWN",
    }
    (asked,) = (commands / "sacct.calls").read_text().splitlines()  # for all of them at once
    assert asked.endswith("--jobs=5,6,7")
    command(commands, "sacct", errors="no accounting", code=1)
    assert slurm.ended(["5"]) == {"5": "UNKNOWN"}
    command(commands, "squeue", errors="slurm_load_jobs error: Unable to contact slurm controller", code=1)
    with pytest.raises(UsageError, match=r"does not answer: slurm_load_jobs error: .* controller\. Type sinfo"):
        slurm.ended(ids)


def test_jobs_are_cancelled_by_their_ids(commands: Path) -> None:
    command(commands, "scancel")
    cluster._Slurm(None).cancel([])
    assert not (commands / "scancel.calls").exists()
    cluster._Slurm(None).cancel(["1_0", "2"])
    assert (commands / "scancel.calls").read_text() == "1_0 2\n"


class Script:
    """Writes what is submitted, as an executor of submitit does."""

    def _make_submission_file_text(self, command: str, uid: str) -> str:
        return "#!/bin/sh\n"


def test_outside_of_a_cluster_no_option_is_blamed(
    commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = r"^there is no SLURM here \({}\)\. Run this on a login node of the cluster$"
    command(commands, "sbatch", errors="sbatch: fatal: Could not establish a configuration source\n", code=1)
    with pytest.raises(UsageError, match=said.format("its commands are installed, but know no cluster")):
        cluster._Slurm(Script()).check(tmp_path)
    (commands / "sbatch").unlink()
    monkeypatch.setenv("PATH", str(commands))
    with pytest.raises(UsageError, match=said.format("sbatch is not found")):
        cluster._Slurm(Script()).check(tmp_path)


def test_what_sbatch_refuses_is_said_in_its_words(commands: Path, tmp_path: Path) -> None:
    command(commands, "sbatch", errors="sbatch: error: invalid partition: gpuu\nallocation failure: no\n", code=1)
    with pytest.raises(UsageError, match=r"refuses the jobs: invalid partition: gpuu; allocation .*Change --part"):
        cluster._Slurm(Script()).check(tmp_path)
    command(commands, "sbatch")
    cluster._Slurm(Script()).check(tmp_path)
    assert "--test-only" in (commands / "sbatch.calls").read_text()


@pytest.mark.parametrize(
    ("options", "lines", "absent"),
    [
        (SlurmOptions(), {"--cpus-per-task=1", "--signal=USR2@60"}, ("--time", "--mem", "--gpus")),
        (SlurmOptions(time="1:00:00", memory="2 GB"), {"--time=60", "--mem=2048MB"}, ("--gpus",)),
        (SlurmOptions(device="cuda", memory="80 GB"), {"--gpus-per-node=1"}, ("--time", "--mem")),
    ],
)
def test_what_sbatch_is_told(
    commands: Path, tmp_path: Path, options: SlurmOptions, lines: set[str], absent: tuple[str, ...]
) -> None:
    pytest.importorskip("submitit", reason="not run: submitit is not installed (pip install 'asymbp[slurm]')")
    command(commands, "srun")
    opened = cluster.open_cluster(options, tmp_path / "logs")
    assert isinstance(opened, cluster._Slurm)
    text = opened._executor._make_submission_file_text("true", "id")
    told = {line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH")}
    assert lines < told
    assert not [line for line in told if line.startswith(absent)]
    assert " -P -u -m submitit" in opened._executor._submitit_command_str  # no file of the working directory


def test_the_end_of_the_log_explains_a_death(tmp_path: Path) -> None:
    class Logging(FakeCluster):
        def _run(self, place: Path, train: Train) -> str:
            job_id = super()._run(place, train)
            logs = folders.logs_directory(tmp_path / "results")
            logs.mkdir(parents=True, exist_ok=True)
            (logs / f"{job_id}_0_log.err").write_text("early\n" * 1000 + "Killed\n")
            return job_id

    events = train(tmp_path, Logging(tmp_path / "scratch", "FAILED", 1))
    (failed,) = [event for event in events if isinstance(event, StackFailed)]
    assert failed.traceback
    assert failed.traceback.endswith("Killed")
    assert len(failed.traceback) <= 2000
    check(tmp_path)


def test_a_job_that_says_it_ended_is_not_asked_for(tmp_path: Path) -> None:
    fake = FakeCluster(tmp_path / "scratch", look_seconds=1e9)
    events = train(tmp_path, fake, workers=2)
    assert not [event for event in events if isinstance(event, StackFailed)]
    check(tmp_path)


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
