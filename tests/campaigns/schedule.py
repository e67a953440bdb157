"""Compares a plan with the time that the same study really takes on two workers of this CPU.

python tests/campaigns/schedule.py [EPOCHS [TIMES]]: Table 2 on the digits, 60 runs. Steps are measured before
and after it, in seconds of the processor, by two processes at once, as many as train. The simulated schedule is
compared with the clock, which needs idle cores. The seconds of all stacks are compared with those that the
processor spends on the study less those on a short one, on busy cores too. That one also shows how long a worker
takes to start. Exit code 1 if they differ by more than a quarter.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from studies import ROOT

WORKERS = 2
MOST = 1.25  # times longer or shorter
_LONGEST_SECONDS = 1800.0
_COMMAND = [sys.executable, "-m", "asymbp_cli"]
#: the command with another clock: what else is at work on a core takes no time of it
_BY_PROCESSOR = [
    *(sys.executable, "-c"),
    "import time; time.perf_counter = time.process_time; from asymbp_cli.__main__ import main; main()",
]
_SHORT = ["--set", "protocol.rate_multipliers=[1]", "--set", "protocol.epochs=1", "--results", "short"]
Popen = subprocess.Popen[str]


class Trained(NamedTuple):
    """Seconds of a study: until its first worker is there, from its plan to its end, and of the processor."""

    start: float
    clock: float
    processor: float


class Planned(NamedTuple):
    """Seconds of a plan: of its schedule, and of all stacks one after the other."""

    clock: float
    processor: float


def _start(command: Sequence[str], directory: Path) -> Popen:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=directory, env=environment, stdout=subprocess.PIPE, text=True)


def _read(process: Popen, see: Callable[[str], None]) -> float:
    """Hand on each line that a process prints; return the processor seconds of it and of its children."""
    last = time.monotonic() + _LONGEST_SECONDS
    assert process.stdout
    for line in process.stdout:
        see(line)
        if time.monotonic() > last:
            process.kill()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{process.args!r} ended with exit code {process.returncode}")
    return used.ru_utime + used.ru_stime


def train(study: Sequence[str], directory: Path) -> Trained:
    """Train a study."""
    times: dict[str, list[float]] = {}

    def see(line: str) -> None:
        times.setdefault(json.loads(line)["event"], []).append(time.perf_counter())

    line = ["reproduce", *study, "--workers", str(WORKERS), "--json"]
    processor = _read(_start([*_COMMAND, *line], directory), see)
    (planned,), began, ended = times["plan"], times["WorkerFound"][0], times["RunFinished"][-1]
    return Trained(began - planned, ended - planned, processor)


def plan(study: Sequence[str], start: float, directory: Path) -> Planned:
    """Plan a study by steps that two processes measure at once."""
    line = ["plan", *study, "--simulate", f"1x{WORKERS}", "--start", f"{start}", "--json", "--results", "none"]
    printed: list[str] = []
    for process in [_start([*_BY_PROCESSOR, *line], directory) for _ in range(WORKERS)]:
        _read(process, printed.append)
    found = [json.loads(text) for text in printed]
    clock = mean(one["schedule"]["makespan_seconds"] for one in found)
    return Planned(clock, mean(one["worker_seconds"] for one in found))


def compare(epochs: int, directory: Path) -> float:
    """Plan and train a study of so many epochs; return by how much more of the processor it needs than planned."""
    study, short = (["--table", "2", *more] for more in (["--set", f"protocol.epochs={epochs}"], _SHORT))
    warm = train(short, directory)
    before = plan(study, warm.start, directory)
    real = train(study, directory)
    after, little = plan(study, warm.start, directory), plan(short[:-2], warm.start, directory)
    clock = mean([before.clock, after.clock])
    processor = mean([before.processor, after.processor]) - little.processor
    used = real.processor - warm.processor
    print(
        f"clock: planned {clock:.1f} s, real {real.clock:.1f} s, {real.clock / clock:.2f} times; "
        f"processor: planned {processor:.1f} s, used {used:.1f} s, {used / processor:.2f} times; "
        f"a worker starts in {warm.start:.1f} s",
        flush=True,
    )
    return used / processor


def main() -> int:
    """Compare; return 1 if a plan is too far off."""
    epochs, times = (int(sys.argv[at]) if len(sys.argv) > at else default for at, default in ((1, 20), (2, 3)))
    ratios = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as directory:
            ratios.append(compare(epochs, Path(directory)))
    return int(not all(1 / MOST <= ratio <= MOST for ratio in ratios))


if __name__ == "__main__":
    raise SystemExit(main())
