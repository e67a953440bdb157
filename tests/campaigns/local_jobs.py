"""Kills in studies whose jobs are processes of this machine, while others compute; then the same command again.

python tests/campaigns/local_jobs.py COUNT [SEED]: COUNT kills with SIGKILL of the driver, of its whole group, of a
job, or of the worker in it, until the study has finished. Jobs outlive their driver, and the next one listens to
them. Exit code 1 if a result differs in a bit from that of a study in one process, a file or a job stays, an exit
code is wrong, or there is a traceback. Needs submitit.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from studies import Stored, Study, check_end, make_recipe, train_undisturbed
from tally import Tally, main

BURNERS = 2  # processes that compute meanwhile
LONGEST_WAIT = 1.5  # seconds after the first epoch of a command
_LONGEST_SECONDS = 300.0  # of a command; one that takes longer hangs
_ENDING_SECONDS = 20.0  # in which jobs end that nobody waits for
_PROGRAMS = {"job": b"submitit.local._local", "worker": b"submitit.core._submit"}
EXECUTOR = "executor: slurm\ncluster: local\nworkers: 2\n"


class Driver:
    """A running command. What it prints goes into files: its jobs, which outlive it, have its output open."""

    def __init__(self, study: Study, name: str) -> None:
        self._results, self._output = study.results, study.directory / f"{name}.out"
        self._errors = study.directory / f"{name}.err"
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self.process = study.start_into(output, errors)

    @property
    def errors(self) -> str:
        """Return its output so far, and its jobs."""
        return self._errors.read_text(errors="replace")

    def wait_for_epoch(self) -> bool:
        """Wait until an epoch is stored; return whether the command still runs."""
        last = time.monotonic() + _LONGEST_SECONDS
        while self.process.poll() is None and time.monotonic() < last:
            if b'"EpochEnded"' in self._output.read_bytes():
                return True
            time.sleep(0.01)
        return False

    def kill(self, source: random.Random) -> str:
        """Kill something of the study; return what."""
        whom = source.choice(["driver", "group", *_PROGRAMS])
        try:
            if whom in _PROGRAMS:
                found = list(find_jobs(self._results, whom))
                os.kill(source.choice(found), signal.SIGKILL)
            else:
                (os.killpg if whom == "group" else os.kill)(self.process.pid, signal.SIGKILL)
        except (IndexError, ProcessLookupError):  # there is none
            return ""
        return whom

    def end(self) -> int | None:
        """Wait for the end, and return the exit code; None if the command hangs, which is killed."""
        try:
            return self.process.wait(_LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            return None


def find_jobs(results: Path, *kinds: str) -> Iterator[int]:
    """Yield the processes of jobs of a results directory."""
    programs = [_PROGRAMS[kind] for kind in kinds or _PROGRAMS]
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            words = (path / "cmdline").read_bytes()
            if os.fsencode(results) in words and any(program in words for program in programs):
                yield int(path.name)


@contextmanager
def load(count: int) -> Iterator[None]:
    """Let so many processes compute meanwhile."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def run(tally: Tally, seed: int, *, burners: int = BURNERS, epochs: int = 60) -> None:
    """Note in the tally what becomes of kills."""
    if find_spec("submitit") is None:
        raise SystemExit("not run: submitit is not installed (pip install 'asymbp[slurm]')")
    source, recipe = random.Random(seed), make_recipe(epochs=epochs)
    with tempfile.TemporaryDirectory() as folder, load(burners):
        expected = train_undisturbed(Path(folder), recipe)
        for number in range(10 * tally.goal):
            if not tally.left:
                return
            study = Study(Path(folder) / f"study {number}", recipe, often=True, executor=EXECUTOR)
            try:
                _finish(study, source, tally)
                _check(study, expected, tally)
            finally:
                for pid in find_jobs(study.results):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
    tally.lost(False, f"{tally.left} kills came too late")


def _finish(study: Study, source: random.Random, tally: Tally) -> None:
    """Repeat the command of a study until it ends well, with a kill in each as long as the tally wants some."""
    for number in range(10 * tally.goal + 10):
        driver, killed = Driver(study, f"command {number}"), ""
        if tally.left and driver.wait_for_epoch():
            time.sleep(source.uniform(0, LONGEST_WAIT))
            killed = driver.kill(source) if driver.process.poll() is None else ""
        code = driver.end()
        what = f"{study.directory.name}, command {number}, {killed or 'undisturbed'}"
        if killed:
            tally.tried[killed] += 1
        allowed = [0, -signal.SIGKILL] if killed in ("driver", "group") else [0]
        tally.lost(code in allowed, f"{what}: exit code {code}: {driver.errors}")
        tally.check_words(driver.errors, what)
        if code == 0:
            return
    tally.lost(False, f"{study.directory.name} does not come to its end")


def _check(study: Study, expected: dict[str, Stored], tally: Tally) -> None:
    """Check a study that has come to its end, and that its jobs have, too."""
    check_end(study, expected, tally, study.directory.name)
    last = time.monotonic() + _ENDING_SECONDS
    while (left := list(find_jobs(study.results))) and time.monotonic() < last:
        time.sleep(0.1)
    tally.lost(not left, f"{study.directory.name}: jobs stay: {left}")
    tally.lost(not (study.results / "jobs").exists(), f"{study.directory.name}: folders of jobs stay")


if __name__ == "__main__":
    raise SystemExit(main(run, 30))
