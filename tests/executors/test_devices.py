"""Several devices of one machine: what names them, who trains where, and what happens if one cannot be opened."""

from collections.abc import Mapping
from pathlib import Path

import fake_engine
import pytest
import small_study
from small_jobs import facts, jobs, reports

from asymbp_cli import machine
from asymbp_cli.errors import AsymbpError, DeviceError, MissingDeviceError, UsageError
from asymbp_cli.events import RunFinished, WorkerFound
from asymbp_cli.executors import StackFailed, StackStarted, StudyEvent, Train, devices
from asymbp_cli.executors.devices import check_devices, choose_devices, collect_provenance
from asymbp_cli.executors.processes import ProcessExecutor
from asymbp_cli.machine import DeviceFacts, parse_devices
from asymbp_cli.results.store import Store
from asymbp_cli.scheduling import replica_limit as packing

GPUS = ("cuda:0", "cuda:1")
BUSY = DeviceError("it is busy")
GONE = MissingDeviceError("there is no such device")


def stand_in(patch: pytest.MonkeyPatch, answers: Mapping[str, DeviceFacts | AsymbpError]) -> None:
    """Let GPUs answer without being there."""
    usable = {name: facts for name, facts in answers.items() if isinstance(facts, DeviceFacts)}
    patch.setattr(devices, "probe_devices", lambda names: {name: answers[name] for name in names})
    patch.setattr(devices, "list_gpus", lambda: tuple(answers))
    for place in (devices, packing):
        patch.setattr(place, "facts_if_usable", usable.get)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cpu", ("cpu",)),
        ("cpu,CPU", ("cpu", "cpu")),
        ("cuda", ("cuda:0",)),
        ("cuda:1, cuda:0", ("cuda:1", "cuda:0")),
        ("Cuda:All", ("cuda:all",)),
        ("mps", ("mps",)),
    ],
)
def test_devices_are_named_in_a_list(text: str, names: tuple[str, ...]) -> None:
    assert parse_devices(text) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cuda:0,cuda", '"cuda:0,cuda" names cuda:0 twice. A stack uses a whole GPU'),
        ("mps,mps", '"mps,mps" names mps twice'),
        ("cuda:all,cuda:1", "names a GPU twice, since cuda:all is all of them"),
        ("cuda:all,cuda:all", "names a GPU twice"),
        ("cpu,cuda:0", '"cpu,cuda:0" mixes kinds of devices'),
        ("cpu,", '"" is not a device'),
        ("cuda:" + "9" * 5000, "is not a device"),
        ("cuda:0;cuda:1", '"cuda:0;cuda:1" is not a device'),
    ],
)
def test_devices_that_do_not_go_together(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_devices(text)


def test_each_worker_has_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, dict.fromkeys(GPUS, DeviceFacts("H100", 1, 1)))
    assert choose_devices(("cpu",), None) == ("cpu",) * machine.cores()
    assert choose_devices(("cpu",), 3) == ("cpu",) * 3
    assert choose_devices(("cpu", "cpu"), None) == choose_devices(("cpu", "cpu"), 2) == ("cpu", "cpu")
    assert choose_devices(("cuda:all",), None) == choose_devices(GPUS, None) == GPUS
    with pytest.raises(UsageError, match=r'"cpu,cpu" names 2 workers already\. Leave out --workers'):
        choose_devices(("cpu", "cpu"), 3)


def test_a_study_begins_if_one_device_can_be_used_and_none_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    usable = DeviceFacts("H100", 1, 1)
    check_devices(["cpu", "cpu"])
    for answers in ((usable, usable), (BUSY, usable)):
        stand_in(monkeypatch, dict(zip(GPUS, answers, strict=True)))
        check_devices(GPUS)
    for errors in ((usable, GONE), (BUSY, GONE), (BUSY, BUSY)):
        stand_in(monkeypatch, dict(zip(GPUS, errors, strict=True)))
        with pytest.raises(DeviceError) as caught:
            check_devices(GPUS)
        assert caught.value is (GONE if GONE in errors else BUSY)


def test_the_smallest_device_decides_how_many_runs_a_stack_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    (run, *_) = small_study.grid("uSF").all_runs().values()
    large, small = DeviceFacts("H100", 80 << 30, 0), DeviceFacts("old", 80 << 20, 0)

    def limit(*names: str) -> int:
        return packing.replica_limit(names, small_study.INFOS)(run)

    stand_in(monkeypatch, {"cuda:0": large, "cuda:1": small, "cuda:2": large, "cuda:3": BUSY})
    assert 1 < limit("cuda:1") < limit("cuda:0") == 64
    assert limit("cuda:0", "cuda:1", "cuda:2") == limit("cuda:1")
    assert limit("cuda:0", "cuda:2") == 64  # each has its own memory
    assert limit("cuda:1", "cuda:3") == limit("cuda:1")  # one that cannot be used does not count


def test_a_worker_keeps_its_device_for_life_and_jobs_move_to_it(tmp_path: Path) -> None:
    work = jobs(tmp_path, replicas=1)
    found = reports(ProcessExecutor(GPUS, fake_engine.says_where), work)
    places = [event.provenance.device for event in found if isinstance(event, WorkerFound)]
    assert len(places) == len(work)
    assert len(set(places)) == 2  # the model in it is the process
    assert {place.partition(" ")[0] for place in places} == set(GPUS)


@pytest.mark.parametrize("train", [fake_engine.opens_one_gpu, fake_engine.survives_on_one_gpu])
def test_without_a_device_that_cannot_be_opened_its_jobs_go_on_on_the_others(train: Train, tmp_path: Path) -> None:
    work = jobs(tmp_path, replicas=1)
    found = reports(ProcessExecutor(GPUS, train), work)
    assert len([event for event in found if isinstance(event, RunFinished)]) == len(work)
    (failed,) = [event for event in found if isinstance(event, StackFailed)]  # once
    assert failed.message.startswith('the device "cuda:1" cannot be used: ')
    assert failed.remedy == "on another device"
    assert {e.provenance.device.partition(" ")[0] for e in found if isinstance(e, WorkerFound)} == {"cuda:0"}


def test_the_error_of_the_last_device_is_raised(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="it is busy"):
        reports(ProcessExecutor(GPUS, fake_engine.opens_no_gpu), jobs(tmp_path))


def test_another_worker_takes_the_device_of_one_that_died(tmp_path: Path) -> None:
    work = jobs(tmp_path)
    found = reports(ProcessExecutor(GPUS, fake_engine.exits_twice), work)
    assert facts(found) == {event for job in work for event in facts(list(fake_engine.train(job)))}
    # this process, two workers that die for each stack, and one or two that end them
    assert len(list(tmp_path.glob("pid-*"))) in (6, 7)


def test_a_study_on_two_devices_says_where_each_run_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, dict.fromkeys(GPUS, DeviceFacts("H100", 80 << 30, 0)))
    seen: list[StudyEvent] = []
    small_study.train(
        *(tmp_path, small_study.grid()), devices=GPUS, train=fake_engine.says_where, on_event=seen.append
    )
    assert len([event for event in seen if isinstance(event, StackStarted)]) > 1
    said = {run: event.provenance.device for event in seen if isinstance(event, WorkerFound) for run in event.runs}
    with Store.open(tmp_path, create=False) as store:
        stored = {run: store.run(run).attempts[-1].device for run in said}
    assert stored == said
    assert {device.partition(" ")[0] for device in stored.values()} == set(GPUS)


def test_what_the_study_knows_before_a_worker_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, {"cuda:0": DeviceFacts("H100", 1, 1), "cuda:1": BUSY})
    assert collect_provenance(["cpu", "cpu"]).device.startswith("cpu (")
    of_others = collect_provenance(GPUS, is_remote=True)
    assert (of_others.host, of_others.device, of_others.git) == ("", "cuda", None)
    assert collect_provenance(GPUS).device == "cuda:0 (H100) or cuda:1"
