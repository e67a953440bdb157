"""Ctrl-C, SIGTERM and SIGHUP: one line, the shell's exit code, and nothing trained is lost."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from asymbp_cli.files.paths import FILE_NAME
from asymbp_cli.results.store import Store
from asymbp_cli.training import resume

ROOT = Path(__file__).parents[2]
#: click ends the line of the terminal's ^C
LINE = "\n?asymbp: interrupted: [^\n]* on after epoch[^\n]*[.] Run the same command again to resume\n"
LEAVING_SECONDS = 2.0  # that a command may take
RECIPE = """
dataset: digits
network: digits
method: [SGD, uSF+BN]
protocol: {extends: demo, epochs: 400, rate_multipliers: [1, 0.1]}
"""


def start(directory: Path, *arguments: str) -> "subprocess.Popen[str]":
    (directory / "long.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "asymbp_cli", *arguments]
    pipe = subprocess.PIPE
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # else that of `nohup pytest` stays
    )


def train(directory: Path, workers: int) -> "subprocess.Popen[str]":
    return start(directory, "train", "--recipe", "long.yaml", "--json", "--workers", str(workers))


def wait_for_epoch(process: "subprocess.Popen[str]", epoch: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "EpochEnded" and event["epoch"] == epoch:
            return
    pytest.fail("the training ended by itself")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interruption_is_one_line_and_keeps_the_last_epoch(
    tmp_path: Path, workers: int, number: signal.Signals
) -> None:
    process = train(tmp_path, workers)
    wait_for_epoch(process, 5)
    began = time.monotonic()
    os.killpg(process.pid, number)  # as terminals and schedulers do: all processes at once
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < LEAVING_SECONDS
    assert process.returncode == 128 + number
    assert re.fullmatch(LINE, errors)
    with Store.open(tmp_path / "results") as store:
        stored = {run: last for run, last in store.epochs_stored(r.id for r in store.runs()).items() if last}
        saved = resume.saved_epochs(store.checkpoints, stored)
    assert max(saved.values()) >= 4  # its fifth epoch may just have ended, in one run of its stack only
    assert all(stored[run] - 1 <= epoch <= stored[run] for run, epoch in saved.items())


def test_an_interruption_during_a_lock_says_what_is_lost(tmp_path: Path) -> None:
    process = train(tmp_path, 2)
    wait_for_epoch(process, 2)
    with closing(sqlite3.connect(tmp_path / "results" / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        wait_for_epoch(process, 5)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < LEAVING_SECONDS
    assert process.returncode == 130
    lost = "What came later is lost, since another program locks the database"
    assert re.fullmatch(
        rf"\n?asymbp: interrupted: .*anew[.] {lost}[.] Run the same command again to resume\n", errors
    )


def test_the_impatient_are_answered_once(tmp_path: Path) -> None:
    process = train(tmp_path, 2)
    wait_for_epoch(process, 2)
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert re.fullmatch(LINE, errors)


def test_an_interruption_of_the_start_is_one_line(tmp_path: Path) -> None:
    """Python starts before any of this program runs; the handler is there once `click` is imported."""
    for imported in ("click", "torch"):
        code = f"""
import sys, os, signal
class Stop:
    def find_spec(self, name, *_):
        if name == {imported!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Stop())
sys.argv = ["asymbp", "train", "--recipe", "long.yaml", "--workers", "1", "--quiet"]
from asymbp_cli.__main__ import main
main()
"""
        (tmp_path / "long.yaml").write_text(RECIPE)
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (130, "")
        assert re.fullmatch("\n?asymbp: interrupted\n", done.stderr)


def test_nohup_is_respected(tmp_path: Path) -> None:
    code = """
import signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from asymbp_cli.cli.interruption import handle_interruptions
handle_interruptions()
signal.raise_signal(signal.SIGHUP)
print("goes on")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "goes on\n", "")
