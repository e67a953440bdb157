"""Studies on a real SLURM of one node, from Debian's packages: all in one process, whose words are judged here."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import local_cluster
import pytest
import slurm_node
import small_study

SCENARIOS = Path(__file__).parent / "slurm_scenarios.py"
NAMES = (
    "unknown_partition",
    "undisturbed",
    "killed_worker",
    "told_to_stop",
    "killed_driver",
    "interrupted",
    "interrupted_in_silence",
    "cancelled_by_hand",
    "silent_controller",
    "missing_python",  # last: its jobs are listed, too
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    pytest.importorskip("submitit", reason="not run: submitit is not installed (pip install 'asymbp[slurm]')")
    if why := slurm_node.missing():
        pytest.skip(f"not run: {why}")
    directory = tmp_path_factory.mktemp("slurm")
    command = slurm_node.in_namespace(directory / "node", sys.executable, str(SCENARIOS), str(directory), *NAMES)
    environment = local_cluster.environment()
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    directory = tmp_path_factory.mktemp("undisturbed")
    small_study.train(directory, local_cluster.GRID)
    return small_study.numbers(directory)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("unknown_partition", "missing_python")])
def test_every_study_has_the_numbers_of_one_in_this_process_and_leaves_nothing(
    found: dict[str, Any], numbers: dict[str, list[str]], name: str
) -> None:
    assert found[name]["numbers"] == numbers
    assert found[name]["left"] == found[name]["logs"] == []


def test_the_first_jobs_are_one_array(found: dict[str, Any]) -> None:
    first, second = found["undisturbed"]["ids"]
    assert first.partition("_")[0] == second.partition("_")[0]
    assert found["undisturbed"]["failed"] == []


def test_a_partition_that_does_not_exist_is_named_before_anything_is_written(found: dict[str, Any]) -> None:
    assert "the cluster refuses the jobs: invalid partition specified: gpuu" in found["unknown_partition"]["error"]
    assert not found["unknown_partition"]["written"]


def test_a_node_that_does_not_see_the_python_of_the_driver_is_named(found: dict[str, Any]) -> None:
    assert found["missing_python"]["error"].startswith("a node of the cluster does not find /nowhere/python. Run")


def test_workers_that_are_killed_go_on_from_their_checkpoints(found: dict[str, Any]) -> None:
    assert found["killed_worker"]["starts"] == [0, 0, 2, 2]
    for message, remedy in found["killed_worker"]["failed"]:
        assert "ended without a word (FAILED)" in message
        assert remedy == "once more"


def test_jobs_whose_time_is_up_are_handed_back(found: dict[str, Any]) -> None:
    assert found["told_to_stop"]["failed"] == [["the worker was told to stop", "from where they were saved"]] * 2
    assert all(start >= 1 for start in found["told_to_stop"]["starts"][2:])


def test_a_driver_that_was_killed_listens_to_the_jobs_that_run(found: dict[str, Any]) -> None:
    assert found["killed_driver"]["failed"] == []
    assert found["killed_driver"]["workers"] == 2


def test_an_interrupted_study_goes_on_from_the_last_epochs(found: dict[str, Any]) -> None:
    assert "go on after epoch" in found["interrupted"]["said"]
    assert all(start >= 2 for start in found["interrupted"]["starts"])


def test_an_interruption_does_not_wait_for_a_controller_that_hangs(found: dict[str, Any]) -> None:
    silent = found["interrupted_in_silence"]
    assert silent["ending"] < 20
    assert re.search(
        r"cluster does not answer, so jobs train on\. Type scancel [0-9_]+ [0-9_]+ to end", silent["said"]
    )
    assert (silent["workers"], silent["failed"]) == (2, [])


def test_a_controller_that_hangs_is_named_and_jobs_train_on(found: dict[str, Any]) -> None:
    silent = found["silent_controller"]
    assert (
        silent["error"]
        == "the cluster does not answer: sbatch has taken more than 3 s. Type sinfo to see how it is"
    )
    assert all("the cluster does not answer: squeue" in message for message in silent["waits"])
    assert silent["waits"]
    assert silent["failed"] == []


def test_jobs_that_were_cancelled_while_they_waited_are_submitted_again(found: dict[str, Any]) -> None:
    assert len(found["cancelled_by_hand"]["failed"]) == 2
    for message, remedy in found["cancelled_by_hand"]["failed"]:
        assert "was cancelled before it began" in message
        assert remedy == "once more"
