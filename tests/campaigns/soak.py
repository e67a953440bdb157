"""Trains thousands of short runs in one study, and watches the memory and the open files of its processes.

python tests/campaigns/soak.py COUNT: COUNT runs of one epoch with two workers. Exit code 1 if the parent or a
worker holds a twentieth more memory at the end than after the first tenth, if it keeps more files open, or if a
run is lost.
"""

import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from running_command import Command
from studies import Study, make_recipe
from tally import Tally, main

MOST_GROWTH = 1.05  # of memory
WORKERS = 2


@dataclass(frozen=True)
class Sample:
    """A process at one moment: how many runs had finished, its bytes in memory, its open files."""

    finished: int
    memory: int
    files: int


def take_samples(command: Command, pids: Iterable[int], samples: dict[int, list[Sample]]) -> None:
    """Add a sample of each process, unless it has ended."""
    finished = sum(event["event"] == "RunFinished" for event in list(command.events))
    for pid in pids:
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        except (OSError, ValueError):
            continue
        samples[pid].append(Sample(finished, 4096 * pages, files))


def compare(samples: list[Sample], most_growth: float, tally: Tally, name: str) -> None:
    """Compare the memory of a process in the first and the last tenth of the samples, and the files in the halves.

    The fewest files count: those that stay open. Others are open for a moment, while a checkpoint is written.
    """
    tenth, half = len(samples) // 10 + 1, (len(samples) + 1) // 2
    tenths, halves = (samples[:tenth], samples[-tenth:]), (samples[:half], samples[-half:])
    before, after = (statistics.median(sample.memory for sample in part) / 1e6 for part in tenths)
    files = [min(sample.files for sample in part) for part in halves]
    tally.notes.append(f"{name}: {before:.1f} MB, then {after:.1f} MB; {files[0]} open files, then {files[1]}")
    tally.lost(after <= most_growth * before, f"{name} has grown from {before:.1f} to {after:.1f} MB")
    tally.lost(files[1] <= files[0], f"{name} had {files[0]} open files, and has {files[1]}")


def run(tally: Tally, seed: int, most_growth: float = MOST_GROWTH) -> None:
    """Note in the tally what becomes of a long study; its seeds begin with `seed`."""
    seeds = list(range(seed, seed + tally.goal // 2))
    recipe = make_recipe("SGD", epochs=1, more=f"seed: {seeds}")
    samples: dict[int, list[Sample]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as directory:
        study = Study(Path(directory) / "study", recipe)
        command = study.start(WORKERS)
        while command.wait_for_seconds(0.1):
            take_samples(command, [command.process.pid, *command.workers()], samples)
        tally.lost(command.end() == 0, command.errors)
        tally.check_words(command.errors, "the study")
        finished = {run for run, (state, _) in study.read().items() if state}
    tally.tried["runs"] = len(finished)
    tally.lost(len(finished) == tally.goal // 2 * 2, f"{len(finished)} runs have finished")
    for pid, taken in samples.items():
        warm = [sample for sample in taken if sample.finished >= tally.goal / 10]
        name = "the parent" if pid == command.process.pid else "a worker"
        if len(warm) > 1:
            compare(warm, most_growth, tally, name)
        else:  # a worker has perhaps no job after the first tenth of a short study
            tally.lost(name == "a worker", f"{name} ended too fast to be seen")
            tally.notes.append(f"{name}: too fast to be seen")


if __name__ == "__main__":
    raise SystemExit(main(run, 2000))
