"""How jobs of a cluster end."""

import platform
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import fake_engine
import pytest
from click.testing import CliRunner
from fake_cluster import FakeCluster, check, train
from fake_cluster import _quick as _quick

from asymbp_cli.analysis.tables import fill_all
from asymbp_cli.cli.app import cli
from asymbp_cli.errors import StoreError, UsageError
from asymbp_cli.executors import StackFailed, StackStarted, StudyWaits, Train
from asymbp_cli.executors.remote.spool import Outbox
from asymbp_cli.executors.slurm import executor, folders
from asymbp_cli.executors.slurm.options import SlurmOptions
from asymbp_cli.report.provenance_listing import list_provenance
from asymbp_cli.results.store import Store


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
