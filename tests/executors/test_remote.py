"""Jobs of workers that write nothing into the results directory: what travels, and what the driver makes of it."""

import json
import platform
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import fake_engine
import pytest
import small_study
from memory_executor import MemoryExecutor
from small_jobs import facts, jobs, reports

from asymbp_cli import __version__
from asymbp_cli.errors import AsymbpError, DataError, DeviceError, StoreError
from asymbp_cli.events import CheckpointDue, CheckpointSaved, EpochEnded, Event, Progress, RunFinished
from asymbp_cli.executors import Failure, Job, JobEnded, StackFailed, StackStarted, Train
from asymbp_cli.executors.options import ExecutorOptions
from asymbp_cli.executors.registry import EXECUTORS, Kind, load_executor
from asymbp_cli.executors.remote import driver, worker
from asymbp_cli.executors.remote.driver import Receiver
from asymbp_cli.executors.remote.messages import Ended, FilesSent, Message
from asymbp_cli.executors.remote.package import Package, pack, read_job, unpack, write_job
from asymbp_cli.executors.retry import ONWARDS, Retries
from asymbp_cli.specs.references import Plugin
from asymbp_cli.specs.runs import SEMANTICS
from asymbp_cli.training.resume import saved_epochs
from asymbp_cli.training.weight_files import KeepWeights, read_weights


@pytest.fixture(autouse=True)
def _data_is_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dataset of small jobs has no arrays."""
    monkeypatch.setattr("asymbp_cli.executors.remote.package.receive", lambda info, fetch: info)


def a_job(directory: Path, **changes: object) -> Job:
    return jobs(directory / "checkpoints", **changes)[0]  # type: ignore[arg-type]


def messages(job: Job, folder: Path, **options: object) -> list[Message]:
    options = {"train": fake_engine.train, **options}
    return list(worker.train(pack(job), folder, dict, **options))  # type: ignore[arg-type]


def take(receiver: Receiver, *sent: Message, postponed: bool = False) -> list[Event | JobEnded]:
    found = []
    for message in sent:
        for event in receiver.take(message):
            if isinstance(event, CheckpointDue):
                event.postponed = postponed
            found.append(event)
    return found


def epochs_saved(job: Job) -> set[int]:
    return set(saved_epochs(job.checkpoints, (run.id for run in job.stack.runs)).values())


def test_the_driver_hears_what_the_training_says_and_asks_before_it_keeps_checkpoints(tmp_path: Path) -> None:
    job = a_job(tmp_path)
    sent = messages(job, tmp_path / "worker")
    assert not any(isinstance(message, CheckpointDue | CheckpointSaved) for message in sent)
    found = take(Receiver(job), *sent)
    assert facts(found) == facts(list(fake_engine.train(replace(job, checkpoints=tmp_path / "local"))))  # type: ignore[arg-type]
    assert found[-1] == JobEnded(job)
    for number, event in enumerate(found):
        if isinstance(event, CheckpointSaved):
            assert isinstance(found[number - 1], CheckpointDue)
            before = [e for e in found[:number] if isinstance(e, EpochEnded)]
            assert {(e.run, e.epoch) for e in before} >= {(run, event.epoch) for run in event.runs}
    assert epochs_saved(job) == {3}  # of 4 epochs
    assert (tmp_path / "worker/checkpoints").is_dir()


def test_a_worker_that_continues_has_the_checkpoints_in_its_own_folder(tmp_path: Path) -> None:
    job = a_job(tmp_path)
    whole = take(Receiver(job), *messages(job, tmp_path / "first"))
    continued = replace(job, stack=replace(job.stack, start_epoch=3))
    sent = messages(continued, tmp_path / "second")
    assert facts(sent) == {  # type: ignore[arg-type]
        e
        for e in facts(whole)
        if isinstance(e, RunFinished) or (isinstance(e, EpochEnded) and e.epoch == 4)  # type: ignore[arg-type]
    }


def test_a_checkpoint_that_is_gone_is_named(tmp_path: Path) -> None:
    job = a_job(tmp_path)
    with pytest.raises(StoreError, match=r"cannot read the checkpoint .*: No such file.* Run the same command"):
        pack(replace(job, stack=replace(job.stack, start_epoch=3)))


def test_checkpoints_wait_until_everything_before_them_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = a_job(tmp_path)
    *sent, ended = messages(job, tmp_path / "worker")
    last = max(number for number, message in enumerate(sent) if isinstance(message, FilesSent))
    receiver = Receiver(job)
    found = take(receiver, *sent[: last + 1], postponed=True)
    assert epochs_saved(job) == {0}
    assert len([e for e in found if isinstance(e, CheckpointDue)]) == 1  # not at every message
    monkeypatch.setattr(driver.time, "monotonic", lambda: 1e9)
    assert take(receiver, Progress("any", 4, 1, 2))[-1] == CheckpointSaved(tuple(r.id for r in job.stack.runs), 3)
    assert epochs_saved(job) == {3}  # those that came last
    assert take(receiver, ended) == [JobEnded(job)]


def test_what_was_postponed_to_the_end_is_kept_of_runs_that_go_on(tmp_path: Path) -> None:
    job = a_job(tmp_path)
    first, second = (run.id for run in job.stack.runs)
    *sent, _ = messages(job, tmp_path / "worker")
    receiver = Receiver(job)
    take(receiver, *(message for message in sent if message != RunFinished(second, "finished", 4)), postponed=True)
    found = take(receiver, Ended(Failure("the node is gone", lost_worker=True)))
    assert CheckpointSaved((second,), 3) in found
    assert saved_epochs(job.checkpoints, [first, second]) == {first: 0, second: 3}  # nobody continues the first
    assert found[-1] == JobEnded(job, Failure("the node is gone", lost_worker=True))


def test_files_that_are_damaged_or_of_other_runs_are_left_out(tmp_path: Path) -> None:
    job, other = jobs(tmp_path / "checkpoints")
    sent = [message for message in messages(job, tmp_path / "worker") if isinstance(message, FilesSent)]
    first, second = (run.id for run in job.stack.runs)
    files = dict(sent[-1].files)
    damaged = files[second][:-1] + b"?"
    foreign = {other.stack.runs[0].id: files[first], "../../escaped": files[first]}
    found = take(Receiver(job), FilesSent("checkpoints", 3, {first: files[first], second: damaged} | foreign))
    assert found[1:] == [CheckpointSaved((first,), 3)]
    assert [path.stem for path in (tmp_path / "checkpoints").iterdir()] == [first]
    assert take(Receiver(job), FilesSent("checkpoints", 4, files)) == []  # of another epoch than it says
    assert take(Receiver(other), *sent) == []


def test_a_worker_that_is_to_stop_hands_back_the_last_finished_epoch(tmp_path: Path) -> None:
    job = replace(a_job(tmp_path), checkpoint_seconds=60.0)
    answers = iter([False, False, False, True])  # before the second epoch has ended
    sent = messages(job, tmp_path / "worker", stopping=lambda: next(answers))
    assert isinstance(sent[-2], FilesSent)
    assert sent[-1] == Ended(worker.STOPPED)
    assert epochs_saved(job) == {0}
    *_, ended = take(Receiver(job), *sent)
    assert isinstance(ended, JobEnded)
    assert ended.failure == worker.STOPPED
    assert epochs_saved(job) == {sent[-2].epoch} == {2}


def test_a_job_that_is_handed_back_does_not_count_as_an_attempt_if_it_got_ahead(tmp_path: Path) -> None:
    job = a_job(tmp_path)
    runs = {run.id: run for run in job.stack.runs}
    retries = Retries(fresh_processes=True)
    take(Receiver(job), *messages(job, tmp_path / "worker"))  # leaves checkpoints of epoch 3
    for _ in range(9):
        failed, following = retries.decide(job, runs, worker.STOPPED)
        assert failed.remedy == ONWARDS
        assert [j.stack.start_epoch for j in following] == [3]
    stuck = replace(job, stack=replace(job.stack, start_epoch=3))
    remedies = [retries.decide(stuck, runs, worker.STOPPED)[0].remedy for _ in range(3)]
    assert remedies == ["once more", "once more", None]  # it never gets through an epoch


def test_failures_come_as_of_local_workers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the cache has gone"):
        reports(MemoryExecutor(2, fake_engine.data_is_gone), jobs(tmp_path))
    found = reports(MemoryExecutor(2, fake_engine.breaks), jobs(tmp_path))
    failed = [report for report in found if isinstance(report, StackFailed)]
    assert {report.message for report in failed} == {"RuntimeError: shapes do not fit"}
    assert len([e for e in facts(found) if isinstance(e, RunFinished)]) == 2


def _fails_on_one_machine(job: Job) -> Iterator[Event]:
    """Train unless the job has the multiplier 10 and is tried for the first time: then its GPU is broken."""
    mark = job.info.path / "tried"
    if job.stack.runs[0].rate_multiplier == 10 and not mark.exists():
        mark.touch()
        raise DeviceError('the device "cuda:0" cannot be used: it is broken')
    yield from fake_engine.says_where(job)


def test_a_machine_that_cannot_train_ends_the_study_only_if_no_other_has_trained(tmp_path: Path) -> None:
    info = small_study.INFO.model_copy(update={"directory": str(tmp_path)})
    work = [replace(job, info=info) for job in jobs(tmp_path / "checkpoints", replicas=1)]
    lucky = [work[0], work[1]]
    found = reports(MemoryExecutor(1, _fails_on_one_machine), lucky)
    (failed,) = [report for report in found if isinstance(report, StackFailed)]
    assert failed.message == f'on {platform.node()}: the device "cuda:0" cannot be used: it is broken'
    assert failed.remedy == "once more"
    assert len([event for event in found if isinstance(event, RunFinished)]) == 2
    (tmp_path / "tried").unlink()
    with pytest.raises(DeviceError, match=f"^on {platform.node()}: the device"):
        reports(MemoryExecutor(1, _fails_on_one_machine), [work[1]])


def test_progress_comes_once_a_second(tmp_path: Path) -> None:
    def many(job: Job) -> Iterator[Event]:
        yield from (Progress(job.stack.id, 1, step, 100) for step in range(100))

    assert len(messages(a_job(tmp_path), tmp_path / "worker", train=many)) == 2  # one, and the end


def test_a_study_of_remote_workers_has_the_bits_of_a_local_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[MemoryExecutor] = []

    def make(options: ExecutorOptions, devices: Sequence[str], train: Train, directory: Path) -> MemoryExecutor:
        made.append(MemoryExecutor(len(devices), train))
        return made[-1]

    monkeypatch.setitem(EXECUTORS, "memory", Kind(ExecutorOptions, make))
    options = {"checkpoint_seconds": 0.0, "keep_weights": "best", "workers": 2}
    memory = load_executor("memory")
    local = small_study.train_digits(tmp_path / "local", tmp_path / "cache", **options)
    remote = small_study.train_digits(tmp_path / "remote", tmp_path / "cache", executor=memory, **options)
    assert set(remote.finished) == set(local.finished)
    assert small_study.numbers(tmp_path / "remote") == small_study.numbers(tmp_path / "local")
    assert small_study.checkpoints(tmp_path / "remote") == []  # all runs have ended
    for run_id in local.finished:
        contents = [read_weights(tmp_path / where / "weights", run_id) for where in ("remote", "local")]
        assert contents[0] == contents[1] is not None
    assert any(isinstance(message, FilesSent) and message.kind == "checkpoints" for message in made[0].sent)


def test_a_job_travels_as_json(tmp_path: Path) -> None:
    keep = KeepWeights("last", tmp_path / "weights")
    plugin = Plugin("mine.py", b"\x00\xff code", "")
    job = replace(a_job(tmp_path), keep=keep, plugins=(plugin,), graphs=False, checkpoint_seconds=0.1)
    assert read_job(write_job(job), tmp_path) == job
    there = unpack(pack(job), tmp_path / "there", dict)
    assert there.checkpoints == tmp_path / "there/checkpoints"
    assert there.keep == KeepWeights("last", tmp_path / "there/weights")


@pytest.mark.parametrize(("key", "value"), [("version", "0.0.1"), ("semantics", SEMANTICS + 1)])
def test_another_version_is_named_before_anything_else_is_read(tmp_path: Path, key: str, value: object) -> None:
    content = json.loads(write_job(a_job(tmp_path))) | {key: value, "runs": "in another format"}
    package = Package(json.dumps(content).encode(), {})
    (ended,) = worker.train(package, tmp_path / "worker", dict, train=fake_engine.train)
    assert isinstance(ended, Ended)
    text = str(ended.error)
    assert all(part in text for part in (platform.node(), __version__, str(value), "Install the same version"))


def test_a_damaged_description_is_refused(tmp_path: Path) -> None:
    content = write_job(a_job(tmp_path))
    found = json.loads(content)
    found["runs"] = dict(zip("ab", found["runs"].values(), strict=True))
    for damaged in (content[:-9], b"{}", b"\xff", b"[]", json.dumps(found).encode()):
        with pytest.raises(AsymbpError, match=r"damaged"):
            read_job(damaged, tmp_path)


def test_the_stack_that_starts_is_that_of_the_worker(tmp_path: Path) -> None:
    work = jobs(tmp_path)
    found = reports(MemoryExecutor(1, fake_engine.train), work)
    started = [report.stack for report in found if isinstance(report, StackStarted)]
    assert {report.stack for report in found if isinstance(report, Progress)} == set(started)


def test_a_worker_has_a_folder_of_its_own_which_is_gone_when_it_ends(tmp_path: Path) -> None:
    job = a_job(tmp_path)
    parent = tmp_path / "temporary"
    parent.mkdir()
    seen = []
    apart = worker.train_apart(pack(job), parent, dict, engine=fake_engine.train, stopping=lambda: False)
    for message in apart:
        seen.append((type(message).__name__, len(list(parent.iterdir()))))
    assert {(name, count) for name, count in seen if name != "Ended"} > {("EpochEnded", 1)}
    assert seen[-1] == ("Ended", 0)
    apart = worker.train_apart(pack(job), parent, dict, engine=fake_engine.train, stopping=lambda: False)
    next(apart)
    apart.close()  # nobody waits for it any more
    assert list(parent.iterdir()) == []


def test_a_machine_without_place_for_temporary_files_is_named(tmp_path: Path) -> None:
    (ended,) = worker.train_apart(
        pack(a_job(tmp_path)), tmp_path / "none", dict, engine=fake_engine.train, stopping=lambda: False
    )
    assert isinstance(ended, Ended)
    assert str(ended.error) == (
        f"on {platform.node()}: cannot make a folder for temporary files: No such file or directory. Free some "
        "space there, or let $TMPDIR name another directory"
    )
