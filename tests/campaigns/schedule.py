"""Compares a simulated schedule with the time that the same study really takes on two workers of this CPU.

python tests/campaigns/schedule.py [EPOCHS [TIMES]]: Table 2 on the digits, 60 runs. Steps are measured before
and after each study, by two processes at once, as many as train. A short study shows how long a worker takes to
start. Exit code 1 if a study takes a quarter more or less than simulated.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from studies import ROOT

WORKERS = 2
MOST = 1.25  # times longer or shorter
_LONGEST_SECONDS = 1200.0
_COMMAND = [sys.executable, "-m", "asymbp_cli"]
Popen = subprocess.Popen[str]


@dataclass(frozen=True)
class Comparison:
    """Seconds of a study."""

    simulated: float
    real: float
    start: float  # of a worker

    @property
    def ratio(self) -> float:
        """Return how many times longer the study took than simulated."""
        return self.real / self.simulated


def _start(arguments: Sequence[str], directory: Path) -> Popen:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [*_COMMAND, *arguments]
    return subprocess.Popen(command, cwd=directory, env=environment, stdout=subprocess.PIPE, text=True)


def _read(process: Popen, see: Callable[[str], None]) -> None:
    """Hand on each line that a process prints, and raise SystemExit if it fails."""
    last = time.monotonic() + _LONGEST_SECONDS
    assert process.stdout
    for line in process.stdout:
        see(line)
        if time.monotonic() > last:
            process.kill()
    if process.wait():
        raise SystemExit(f"{process.args!r} ended with exit code {process.returncode}")


def train(study: Sequence[str], directory: Path) -> tuple[float, float]:
    """Return the seconds from the plan of a study to its first stack, and to the end of its last run."""
    times: dict[str, list[float]] = {}

    def see(line: str) -> None:
        times.setdefault(json.loads(line)["event"], []).append(time.perf_counter())

    _read(_start(["reproduce", *study, "--workers", str(WORKERS), "--json"], directory), see)
    (planned,) = times["plan"]
    return times["StackStarted"][0] - planned, times["RunFinished"][-1] - planned


def simulate(study: Sequence[str], start: float, directory: Path) -> float:
    """Return the simulated seconds of a study, by steps that two processes measure at once."""
    line = [
        "plan",
        *study,
        "--simulate",
        f"1x{WORKERS}",
        "--start",
        str(start),
        "--json",
        "--results",
        "no-results",
    ]
    found: list[float] = []
    for process in [_start(line, directory) for _ in range(WORKERS)]:
        _read(process, lambda text: found.append(json.loads(text)["schedule"]["makespan_seconds"]))
    return mean(found)


def compare(epochs: int, directory: Path) -> Comparison:
    """Simulate and train a study of so many epochs."""
    study = ["--table", "2", "--set", f"protocol.epochs={epochs}"]
    one = ["--set", "protocol.rate_multipliers=[1]", "--set", "protocol.epochs=1", "--results", "warm"]
    start, _ = train(["--table", "2", *one], directory)
    before = simulate(study, start, directory)
    _, real = train(study, directory)
    return Comparison(mean([before, simulate(study, start, directory)]), real, start)


def main() -> int:
    """Print comparisons; return 1 if one is too far off."""
    epochs, times = (int(sys.argv[at]) if len(sys.argv) > at else default for at, default in ((1, 20), (2, 3)))
    ratios = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as directory:
            found = compare(epochs, Path(directory))
        ratios.append(found.ratio)
        print(
            f"simulated {found.simulated:.1f} s, real {found.real:.1f} s: {found.ratio:.2f} times; "
            f"a worker starts in {found.start:.1f} s",
            flush=True,
        )
    return int(not all(1 / MOST <= ratio <= MOST for ratio in ratios))


if __name__ == "__main__":
    raise SystemExit(main())
