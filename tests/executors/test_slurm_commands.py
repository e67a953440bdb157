"""What is asked of the commands of SLURM, and what is made of their answers."""

import os
import shutil
from pathlib import Path

import fake_engine
import pytest
from fake_cluster import command
from fake_cluster import commands as commands

from asymbp_cli.errors import UsageError
from asymbp_cli.executors.slurm import cluster
from asymbp_cli.executors.slurm.options import SlurmOptions


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
    slurm = cluster._Slurm(None)
    assert slurm.cancel([])
    assert not (commands / "scancel.calls").exists()
    assert slurm.cancel(["1_0", "2"])
    assert (commands / "scancel.calls").read_text() == "1_0 2\n"
    command(commands, "scancel", errors="scancel: error: Kill job error: Invalid job id specified", code=1)
    assert slurm.cancel(["1_0"])  # which has ended
    command(commands, "scancel", errors="scancel: error: Unable to contact slurm controller", code=1)
    assert not slurm.cancel(["1_0"])


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


@pytest.mark.parametrize("name", ["jobs", "jobs/logs"])
def test_a_file_in_the_place_of_jobs_is_named(name: str, tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="not run: submitit is not installed (pip install 'asymbp[slurm]')")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("a file")
    with pytest.raises(UsageError, match=r"^cannot make the directory .*/jobs/logs/: .*Move what is in the way"):
        cluster.open_cluster(SlurmOptions(), tmp_path / "jobs" / "logs")


def test_what_sbatch_says_of_a_submission_is_not_taken_for_a_missing_cluster(
    commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit", reason="not run: submitit is not installed (pip install 'asymbp[slurm]')")
    for name in ("timeout", "cat"):
        (commands / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(commands))
    with pytest.raises(UsageError, match=r"^there is no SLURM here \(srun is not found\)"):
        cluster.open_cluster(SlurmOptions(), tmp_path / "logs")
    command(commands, "srun")
    opened = cluster.open_cluster(SlurmOptions(), tmp_path / "logs")
    with pytest.raises(UsageError, match=r"^there is no SLURM here \(sbatch is not found\)"):
        opened.submit([tmp_path], fake_engine.train)
    command(commands, "sbatch", errors="sbatch: error: srun: invalid account\n", code=1)
    with pytest.raises(UsageError, match=r"^the cluster refuses the jobs: srun: invalid account\. Change"):
        opened.submit([tmp_path], fake_engine.train)
    shutil.rmtree(tmp_path / "logs")
    (tmp_path / "logs").touch()
    with pytest.raises(UsageError, match=r"^jobs cannot be submitted: .*logs.*\. Run the same command again"):
        opened.submit([tmp_path], fake_engine.train)
