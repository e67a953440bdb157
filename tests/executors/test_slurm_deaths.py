"""What is said of jobs that ended without a word, by their state and the log that they left."""

import sys
from pathlib import Path

import pytest

from asymbp_cli.errors import UsageError
from asymbp_cli.executors.slurm.deaths import explain_death
from asymbp_cli.executors.slurm.folders import logs_directory


def write_log(results: Path, text: str) -> None:
    logs_directory(results).mkdir(parents=True)
    (logs_directory(results) / "7_0_log.err").write_text(text)


@pytest.mark.parametrize(
    ("log", "missing"),
    [
        ("submitit ERROR - exception\nModuleNotFoundError: No module named 'asymbp_cli'\n", "asymbp"),
        ("No module named 'asymbp_cli.executors.slurm.work'\n", "asymbp"),
        ("python: Error while finding module specification for 'submitit.core._submit' "
         "(ModuleNotFoundError: No module named 'submitit')\n", "submitit"),
        (f"slurmstepd: error: execve(): {sys.executable}: No such file or directory\n", sys.executable),
    ],
)  # fmt: skip
def test_a_node_without_the_program_is_named(log: str, missing: str, tmp_path: Path) -> None:
    write_log(tmp_path, log)
    with pytest.raises(UsageError) as refused:
        explain_death(tmp_path, "7", "FAILED", began=False, adopted=False)
    assert str(refused.value).startswith(
        f"a node of the cluster does not find {missing}. Run asymbp from a Python"
    )


def test_what_a_training_lacks_is_its_own_failure(tmp_path: Path) -> None:
    write_log(tmp_path, "ModuleNotFoundError: No module named 'of_a_plugin'\n")
    failure = explain_death(tmp_path, "7", "FAILED", began=False, adopted=False)
    assert failure.message == "job 7 of the cluster ended without a word (FAILED)"
    assert "of_a_plugin" in (failure.traceback or "")
    again = explain_death(tmp_path, "7", "OUT_OF_MEMORY", began=True, adopted=False)
    assert (again.out_of_memory, again.lost_worker) == (True, False)


@pytest.mark.parametrize(
    ("state", "adopted", "said"),
    [
        ("CANCELLED by 0", False, "job 7 of the cluster was cancelled before it began"),
        ("NODE_FAIL", False, "Perhaps the nodes do not see"),
        ("FAILED", True, "job 7 ended while no study listened (FAILED)"),
    ],
)
def test_a_job_that_left_no_log_is_known_by_its_state(
    state: str, adopted: bool, said: str, tmp_path: Path
) -> None:
    assert said in explain_death(tmp_path, "7", state, began=False, adopted=adopted).message
