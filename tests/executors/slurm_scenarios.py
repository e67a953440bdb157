"""Studies on a SLURM of one node (`slurm_node.py`), which prints what became of them as one JSON object.

`slurm_scenarios.py DIRECTORY NAME...` runs those that are named.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cluster_trainings
import local_cluster
import pytest
import small_study

from asymbp_cli.errors import UsageError
from asymbp_cli.executors import StackFailed, StackStarted, StudyEvent, StudyWaits
from asymbp_cli.executors.slurm import cluster, folders
from asymbp_cli.executors.slurm.options import SlurmOptions
from asymbp_cli.spawn import known_package

Found = dict[str, Any]


def train(directory: Path, **changes: object) -> list[StudyEvent]:
    training = changes.pop("train", cluster_trainings.train)
    options = SlurmOptions.model_validate({"time": 5} | changes.pop("options", {}))  # type: ignore[operator]
    return local_cluster.train(directory, training, executor=options, **changes)  # type: ignore[arg-type]


def describe(directory: Path, events: list[StudyEvent]) -> Found:
    failed = [event for event in events if isinstance(event, StackFailed)]
    return {
        "numbers": small_study.numbers(directory / "results"),
        "left": [str(path) for path in folders.find_folders(directory / "results")],
        "logs": [path.name for path in folders.logs_directory(directory / "results").glob("*_log.*")],
        "failed": [[event.message, event.remedy] for event in failed],
        "starts": [event.start_epoch for event in events if isinstance(event, StackStarted)],
        "workers": len(local_cluster.pids(directory)),
    }


def run_command(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def undisturbed(directory: Path) -> Found:
    """A study whose jobs are one array."""
    found = describe(directory, train(directory))
    lines = run_command("squeue", "--noheader", "--states=all", "--array", "-o%i").split()
    return found | {"ids": sorted(lines)}


def killed_worker(directory: Path) -> Found:
    return describe(directory, train(directory, train=cluster_trainings.killed_once))


def unknown_partition(directory: Path) -> Found:
    try:
        train(directory, options={"partition": "gpuu"})
    except UsageError as error:
        return {"error": str(error), "written": (directory / "results").exists()}
    return {}


def missing_python(directory: Path) -> Found:
    """The node does not see the Python of the driver."""
    with known_package(), pytest.MonkeyPatch.context() as patch:  # which asks that Python, once
        patch.setattr(sys, "executable", "/nowhere/python")
        try:
            train(directory)
        except UsageError as error:
            return {"error": str(error)}
    return {}


def told_to_stop(directory: Path) -> Found:
    """SLURM's signal before a limit comes while two jobs train."""
    os.environ["FAKE_EPOCH_SECONDS"] = "1"
    signalled: list[str] = []

    def watch(event: StudyEvent) -> None:
        if not signalled and local_cluster.have_both_sent(directory, 1):
            signalled.extend(run_command("squeue", "--noheader", "--array", "-o%i").split())
            run_command("scancel", "--signal=USR2", *signalled)

    return describe(directory, train(directory, on_event=watch, checkpoint_seconds=60.0))


def killed_driver(directory: Path) -> Found:
    """The driver dies while jobs run; the next one listens to them."""
    os.environ["FAKE_EPOCH_SECONDS"] = "0.5"
    driver = subprocess.Popen([sys.executable, __file__, str(directory), "--drive"], start_new_session=True)
    small_study.wait_for(lambda: local_cluster.epochs_sent(directory) >= 2, seconds=120)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    return describe(directory, train(directory))


def interrupt(directory: Path, before: Callable[[], object] = lambda: None) -> Found:
    """Train in another process until both jobs have sent something, and send it Ctrl-C."""
    os.environ["FAKE_EPOCH_SECONDS"] = "1"
    words = [sys.executable, __file__, str(directory), "--drive"]
    with subprocess.Popen(words, start_new_session=True, stderr=subprocess.PIPE) as driver:
        small_study.wait_for(lambda: local_cluster.have_both_sent(directory, 2), seconds=120)
        before()
        began = time.monotonic()
        driver.send_signal(signal.SIGINT)
        _, errors = driver.communicate(timeout=150)
    return {"said": errors.decode().splitlines()[-1], "ending": time.monotonic() - began}


def interrupted(directory: Path) -> Found:
    """Ctrl-C while two jobs train, then the same command again."""
    found = interrupt(directory)
    small_study.wait_for(lambda: not run_command("squeue", "--noheader").strip(), seconds=60)
    os.environ["FAKE_EPOCH_SECONDS"] = "0"
    return describe(directory, train(directory)) | found


def interrupted_in_silence(directory: Path) -> Found:
    """The same while the controller hangs: jobs train on, and the next command takes them in."""
    pid = run_command("pidof", "slurmctld").strip()
    found = interrupt(directory, before=lambda: run_command("kill", "-STOP", pid))
    run_command("kill", "-CONT", pid)
    return describe(directory, train(directory)) | found


def cancelled_by_hand(directory: Path) -> Found:
    """Somebody cancels jobs that wait: no place for them, as others take all."""
    blocker = run_command("sbatch", "--exclusive", "--parsable", "--output=/dev/null", "--wrap=sleep 120").strip()
    helper = subprocess.Popen(
        ["sh", "-c", "until squeue --noheader --name=asymbp -o%i | grep -q .; do sleep 0.2; done; sleep 1; "
         f"scancel --name=asymbp; sleep 1; scancel {blocker}"]
    )  # fmt: skip
    events = train(directory)
    helper.wait()
    return describe(directory, events)


def silent_controller(directory: Path) -> Found:
    """The controller hangs when a study begins, and for a while when it trains."""
    os.environ["FAKE_EPOCH_SECONDS"] = "1"
    pid = run_command("pidof", "slurmctld").strip()
    stopped: list[str] = []

    def watch(event: StudyEvent) -> None:
        if not stopped and local_cluster.have_both_sent(directory, 1):
            stopped.append(run_command("kill", "-STOP", pid))
            subprocess.Popen(["sh", "-c", f"sleep 15; kill -CONT {pid}"])

    seconds, cluster._COMMAND_SECONDS = cluster._COMMAND_SECONDS, 3.0
    run_command("kill", "-STOP", pid)
    try:
        train(directory)
        error = ""
    except UsageError as refusal:
        error = str(refusal)
    run_command("kill", "-CONT", pid)
    cluster._COMMAND_SECONDS = 10.0
    events = train(directory, on_event=watch)
    cluster._COMMAND_SECONDS = seconds
    waits = [event.message for event in events if isinstance(event, StudyWaits)]
    return describe(directory, events) | {"error": error, "waits": waits}


def time_limit(directory: Path) -> Found:
    """A limit of a minute, the shortest that SLURM has, on stacks that need longer."""
    os.environ["FAKE_EPOCH_SECONDS"] = "12"
    short = {"time": 1, "slurm": {"signal_delay_s": 20}}
    return describe(directory, train(directory, options=short, checkpoint_seconds=60.0))


def failed_node(directory: Path) -> Found:
    """The daemon of the node is gone until SLURM gives it up; then it comes back."""
    os.environ["FAKE_EPOCH_SECONDS"] = "2"
    done: list[str] = []

    def watch(event: StudyEvent) -> None:
        if not done and local_cluster.epochs_sent(directory) >= 2:
            done.append("down")
            run_command("scontrol", "update", "nodename=localhost", "state=down", "reason=test")
            subprocess.Popen(["sh", "-c", "sleep 5; scontrol update nodename=localhost state=resume"])

    return describe(directory, train(directory, on_event=watch))


SCENARIOS: dict[str, Callable[[Path], Found]] = {
    function.__name__: function
    for function in (
        undisturbed,
        killed_worker,
        unknown_partition,
        missing_python,
        told_to_stop,
        killed_driver,
        interrupted,
        interrupted_in_silence,
        cancelled_by_hand,
        silent_controller,
        time_limit,
        failed_node,
    )
}


def main(directory: Path, *names: str) -> None:
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    cluster._Slurm.look_seconds = 1.0
    found: Found = {}  # a scenario that raises ends all
    for name in names:
        place = directory / name
        (place / "marks").mkdir(parents=True)
        os.environ |= {"CLUSTER_MARKS": str(place / "marks"), "FAKE_EPOCH_SECONDS": "0"}
        began = time.monotonic()
        found[name] = SCENARIOS[name](place) | {"seconds": round(time.monotonic() - began, 1)}
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[2:] == ["--drive"]:
        train(Path(sys.argv[1]))
    else:
        main(Path(sys.argv[1]), *sys.argv[2:])
