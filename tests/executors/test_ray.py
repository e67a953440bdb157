"""Training in a Ray cluster: what the driver does, with a stand-in for Ray, and studies in a real cluster."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_engine
import fake_ray
import pytest
from fake_ray import ActorDiedError, FakeCluster, Lost, Silent
from ray_namespace import run_scenarios, why_not
from small_jobs import facts, jobs, reports

import asymbp_cli
from asymbp_cli import __version__
from asymbp_cli.datasets.cache import read_info
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.errors import AsymbpError, RecipeError, UsageError
from asymbp_cli.events import CheckpointSaved, EpochEnded
from asymbp_cli.executors import Job, StackFailed, StudyWaits
from asymbp_cli.executors.inline import InlineExecutor
from asymbp_cli.executors.ray import cluster, executor
from asymbp_cli.executors.ray.deaths import explain_death
from asymbp_cli.executors.ray.options import RayOptions
from asymbp_cli.executors.registry import load_executor
from asymbp_cli.executors.remote import worker
from asymbp_cli.executors.remote.package import pack
from asymbp_cli.training.resume import saved_epochs


@pytest.fixture
def work(tmp_path: Path, digits_info: DecodedDataset) -> list[Job]:
    """Two stacks of two runs, whose checkpoints are kept after every epoch."""
    return [replace(job, info=digits_info) for job in jobs(tmp_path / "checkpoints", epochs=5)]


def expected(work: list[Job], folder: Path) -> set[Any]:
    return facts(reports(InlineExecutor(fake_engine.train), [replace(job, checkpoints=folder) for job in work]))


def test_workers_say_what_the_training_says(work: list[Job], tmp_path: Path) -> None:
    found = FakeCluster()
    assert facts(reports(fake_ray.make(found), work)) == expected(work, tmp_path / "inline")
    assert len(found.actors) == 2
    assert found.closed
    assert found.stored == []  # the workers' machine has the dataset


def test_a_worker_is_used_again_unless_its_job_failed(work: list[Job], tmp_path: Path) -> None:
    found = FakeCluster()
    reports(fake_ray.make(found, workers=1), work)
    assert len(found.actors) == 1
    dying = FakeCluster([_dies_after(work[0], 6, tmp_path / "other")])
    seen = reports(fake_ray.make(dying, workers=1), work)
    assert facts(seen) == expected(work, tmp_path / "inline")
    (failed,) = [event for event in seen if isinstance(event, StackFailed)]
    assert failed.message == "the worker in the Ray cluster was lost: its process died"
    assert failed.remedy
    assert dying.killed[0] is dying.actors[0]
    assert len(dying.actors) == 2


def _dies_after(job: Job, messages: int, folder: Path) -> Any:
    """Yield the first messages of a job, then die."""
    sent = worker.train(pack(job), folder, dict, train=fake_engine.train)
    yield from (message for _, message in zip(range(messages), sent, strict=False))
    yield from Lost()


def test_a_worker_that_died_before_it_began_is_no_failure_of_the_job(work: list[Job], tmp_path: Path) -> None:
    found = FakeCluster([Lost(), Lost()])
    seen = reports(fake_ray.make(found), work)
    assert facts(seen) == expected(work, tmp_path / "inline")
    assert not [event for event in seen if isinstance(event, StackFailed)]
    never = FakeCluster([Lost() for _ in range(50)])
    failed = [event for event in reports(fake_ray.make(never), work) if isinstance(event, StackFailed)]
    assert failed[-1].remedy is None


def test_a_job_that_waits_for_a_place_goes_to_an_idle_worker(
    work: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_STARTING_SECONDS", 0.0)
    found = FakeCluster([Silent()])
    assert facts(reports(fake_ray.make(found), work)) == expected(work, tmp_path / "inline")
    assert found.killed[0] is found.actors[0]


def test_a_study_says_that_it_waits_for_a_place(work: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "_WAITING_SECONDS", 0.0)
    training = fake_ray.make(FakeCluster([Silent()]))
    training.submit(work[0])
    assert next(training.events()) == StudyWaits("the cluster has no place for a worker yet")
    training.cancel()


def test_a_dataset_is_sent_once_to_a_cluster_that_does_not_have_it(
    work: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache of the node"
    monkeypatch.setenv("ASYMBP_CACHE", str(cache))
    monkeypatch.setattr("asymbp_cli.datasets.transfer.read_info", _only_below(cache))
    found = FakeCluster()
    monkeypatch.setitem(sys.modules, "ray", found)  # for the workers
    assert facts(reports(fake_ray.make(found), work)) == expected(work, tmp_path / "inline")
    assert len(found.stored) == 1
    (kept,) = (cache / "resident").glob("digits-*")
    assert {path.name for path in kept.iterdir()} >= found.stored[0].keys()


def _only_below(cache: Path) -> Any:
    return lambda path: read_info(path) if path.is_relative_to(cache) else None


def test_an_interruption_saves_the_last_epoch_and_loses_no_message(work: list[Job], tmp_path: Path) -> None:
    training = fake_ray.make(FakeCluster(), workers=1)
    job = replace(work[0], checkpoint_seconds=1e9)
    training.submit(job)
    seen = []
    for event in training.events():
        seen.append(event)
        if isinstance(event, EpochEnded) and event.epoch == 3:
            break  # as if an interruption came while this one was stored
    seen += training.stop()
    runs = {run.id for run in job.stack.runs}
    last = max(event.epoch for event in seen if isinstance(event, CheckpointSaved))
    assert saved_epochs(job.checkpoints, runs) == dict.fromkeys(runs, last)
    assert last >= 3
    assert {(event.run, event.epoch) for event in seen if isinstance(event, EpochEnded)} == {
        (run, epoch) for run in runs for epoch in range(1, last + 1)
    }
    training.cancel()


def test_a_cluster_that_is_gone_ends_the_study(work: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "_CHECKING_SECONDS", 0.0)
    monkeypatch.setattr(executor, "_SILENT_SECONDS", 0.0)
    found = FakeCluster(is_there=False)
    with pytest.raises(AsymbpError, match="it is gone"):
        reports(fake_ray.make(found), work)
    assert found.closed


@pytest.mark.parametrize(
    ("text", "message", "memory", "lost"),
    [
        ("The actor died because its node has died.", r"its node is gone$", False, True),
        ("its worker process has died ... (1) killed by the OOM killer due to high memory", "died$", False, True),
        ("Task was killed due to the node running low on memory.", "memory of its node ran out", True, False),
    ],
)
def test_a_death_is_explained(text: str, message: str, memory: bool, lost: bool) -> None:
    failure = explain_death(ActorDiedError(text))
    assert (failure.out_of_memory, failure.lost_worker) == (memory, lost)
    assert failure.message.endswith(message.removesuffix("$"))
    assert failure.traceback == text


def test_a_node_without_this_version_is_an_error_that_says_what_to_type() -> None:
    with pytest.raises(UsageError, match=f"Type there, .*: pip install asymbp=={__version__}"):
        explain_death(ActorDiedError("ModuleNotFoundError: No module named 'asymbp_cli.executors'"))


@pytest.mark.parametrize(
    ("given", "resources"),
    [
        ({}, {"CPU": 1.0}),
        ({"device": "cpu", "address": "auto"}, {"CPU": 1.0}),
        ({"device": "cuda"}, {"CPU": 1.0, "GPU": 1.0}),
        ({"gpus_per_worker": 0.5, "address": "10.0.0.1:6379"}, {"CPU": 1.0, "GPU": 0.5}),
    ],
)
def test_what_a_worker_takes(given: dict[str, object], resources: dict[str, float]) -> None:
    options = load_executor("ray", given)
    assert isinstance(options, RayOptions)
    assert options.resources == resources
    assert (options.device == "cuda:0") is ("GPU" in resources)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"address": "ray://host:10001"}, 'address: "ray://host:10001" is not the address of a Ray cluster'),
        ({"address": "host"}, 'address: "host" is not the address'),
        ({"device": "cuda:1"}, "the cluster chooses the GPU of each worker"),
        ({"device": "cpu", "gpus_per_worker": 0.5}, "needs device: cuda"),
        ({"gpus_per_worker": 2}, "gpus-per-worker: .*less than or equal to 1"),
    ],
)
def test_options_that_mean_nothing_are_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_executor("ray", given)


def test_an_address_that_nobody_answers_at_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", FakeCluster())
    with pytest.raises(UsageError, match=r"no Ray cluster answers at 127\.0\.0\.1:1\. Start one with ray start"):
        cluster.check_cluster(RayOptions(address="127.0.0.1:1"))


def test_a_ray_of_its_own_without_a_gpu_is_refused_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", FakeCluster())
    asked: list[str] = []
    monkeypatch.setattr(cluster, "check_devices", asked.extend)
    cluster.check_cluster(RayOptions())
    assert asked == []
    cluster.check_cluster(RayOptions(device="cuda", gpus_per_worker=0.5))
    assert asked == ["cuda:0"]


def test_a_cluster_that_has_no_place_for_a_worker_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    small = SimpleNamespace(
        is_initialized=lambda: True,
        get_runtime_context=lambda: SimpleNamespace(gcs_address="127.0.0.1:1"),
        cluster_resources=lambda: {"CPU": 4.0, "memory": float(8 << 30), "node:127.0.0.1": 1.0},
    )
    monkeypatch.setitem(sys.modules, "ray", small)
    cluster.Cluster(RayOptions(memory="8 GB"), 1)
    with pytest.raises(UsageError, match=r"4 CPU and 0 GPU and 8\.0 GB of memory, and a worker takes 1 CPU and 9"):
        cluster.Cluster(RayOptions(memory="9 GB"), 1)
    with pytest.raises(UsageError, match=r"0 GPU.* takes 1 CPU and 1 GPU\. Add a node"):
        cluster.Cluster(RayOptions(device="cuda"), 1)


def test_a_ray_of_its_own_has_the_program_of_its_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a checkout, too, that is not installed; and a folder that is gone with it."""
    started: list[tuple[str | None, list[Path]]] = []
    ray = SimpleNamespace(
        is_initialized=lambda: False,
        init=lambda **_: started.append((os.environ.get("PYTHONPATH"), list(tmp_path.iterdir()))),
        get_runtime_context=lambda: SimpleNamespace(gcs_address="127.0.0.1:1"),
        cluster_resources=lambda: {"CPU": 2.0},
        shutdown=lambda: None,
    )
    monkeypatch.setattr(cluster, "import_ray", lambda: ray)
    monkeypatch.setattr(cluster, "_LONGEST_TEMPORARY", 1000)
    monkeypatch.setattr(cluster.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("asymbp_cli.spawn._is_found", lambda places: False)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    opened = cluster.Cluster(RayOptions(), 2)
    ((path, folders),) = started
    assert path == str(Path(asymbp_cli.__file__).parents[1])
    assert folders == [opened.folder]
    opened.close()
    assert list(tmp_path.iterdir()) == []


def test_without_ray_the_message_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"needs Ray, .* Type: pip install 'asymbp\[ray\]'"):
        cluster.check_cluster(RayOptions())


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What studies in a real cluster have come to: one that loses a node, one whose cluster dies."""
    if reason := why_not():
        pytest.skip(f"not run: {reason}")
    return run_scenarios(tmp_path_factory.mktemp("ray"), "lose_node", "lose_cluster")


def test_a_study_survives_a_node(scenarios: dict[str, Any]) -> None:
    found = scenarios["lose_node"]
    assert found["same"]
    assert found["failures"]
    assert all("was lost" in failure and not failure.endswith("None") for failure in found["failures"])
    assert max(found["starts"]) > 0  # it went on where it was; the other stack may have been ahead
    assert len(found["cache"]) == 1  # the dataset has come through Ray
    assert found["left"] == []


def test_a_study_whose_cluster_dies_says_so_and_goes_on_later(scenarios: dict[str, Any]) -> None:
    found = scenarios["lose_cluster"]
    assert "does not answer any more" in found["text"]
    assert found["same"]
    assert max(found["starts"]) >= 4
    assert found["left"] == []
