"""Merges large results directories, and measures time of the processor and memory.

python tests/campaigns/merging.py RUNS: two directories, each of RUNS runs of 65 epochs, are merged into a new one.
Then one is merged into another one that has the same runs, other runs, and the same runs with other numbers. Exit
code 1 if a merge takes more than 5 s or 300 MB, or if what is merged is not what was there. 2520 runs are those of
a table of 14 columns with 20 seeds.
"""

import os
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

import small_study
from tally import Tally, main

from asymbp_cli.events import EpochEnded, RunFinished, WorkerFound
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.results.provenance import collect
from asymbp_cli.results.store import Store

EPOCHS = 65
MOST_SECONDS, MOST_BYTES = 5.0, 300e6
METHODS = ("SGD", "BM", "uSF", "uSF+BN", "uSF+BN+BM", "brSF", "brSF+BN", "brSF+BN+BM", "frSF", "frSF+BN",
           "frSF+BN+BM", "RndF", "RndF+BN", "RndF+BN+BM")  # fmt: skip
RATES = (10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02)


@dataclass(frozen=True)
class Measured:
    """What a command took, and what it said."""

    seconds: float  # of the processor
    peak: int  # bytes
    code: int
    text: str


def make_grid(runs: int, first_seed: int) -> Grid:
    """Return a grid of about as many runs."""
    seeds, methods = max(1, runs // (len(METHODS) * len(RATES))), METHODS[: max(1, runs // len(RATES))]
    grid = small_study.grid(*methods, epochs=EPOCHS, multipliers=RATES)
    return grid.model_copy(update={"seeds": tuple(range(first_seed, first_seed + seeds))})


def fill(directory: Path, grid: Grid, shift: int = 0) -> None:
    """Store all runs of a grid with numbers that are made of the epoch; every other one is `shift` higher."""
    with Store.open(directory) as store, store.writing():
        store.save_dataset(small_study.INFO)
        store.save_grid(grid, "asymbp reproduce --table 2")
        runs = list(grid.all_runs().values())
        worker = replace(collect("cpu"), instruction_set="AVX2")
        store.begin(runs, 0, worker)
        store.record(WorkerFound(tuple(run.id for run in runs), worker))
        for number, run in enumerate(runs):
            for epoch in range(1, EPOCHS + 1):
                wrong = 300 - epoch + shift * (number % 2)
                store.record(
                    EpochEnded(
                        run.id, epoch, 0.1 / epoch, 2.0 / epoch, wrong, 1437, 1.9 / epoch, wrong, 360, None, None,
                        False, False, 0.25 + 1e-9 * epoch,
                    )
                )  # fmt: skip
            store.record(RunFinished(run.id, "finished", EPOCHS))


def merge(*sources: Path, into: Path) -> Measured:
    """Run the command in a process of its own."""
    output = into.with_name(f"{into.name}.txt")
    arguments = [sys.executable, "-m", "asymbp_cli", "store", "merge", *map(str, sources), "--results", str(into)]
    with output.open("w") as file:
        pid = os.posix_spawn(
            sys.executable, arguments, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), 1)]
        )
        _, status, usage = os.wait4(pid, 0)
    seconds = usage.ru_utime + usage.ru_stime
    return Measured(seconds, 1024 * usage.ru_maxrss, os.waitstatus_to_exitcode(status), output.read_text())


def run(tally: Tally, seed: int) -> None:
    """Note in the tally what merging large results takes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grids = [make_grid(tally.goal, first) for first in (seed, seed + 1000)]
        for place, grid, shift in (("a", grids[0], 0), ("b", grids[1], 0), ("c", grids[0], 0), ("d", grids[0], 1)):
            fill(folder / place, grid, shift)
        cases = {
            "two into a new directory": (("a", "b"), "new", 0, f"{len(grids[0].all_runs()):,} new"),
            "the same runs": (("c",), "a", 0, "already there"),
            "other runs": (("b",), "c", 0, f"{len(grids[1].all_runs()):,} new"),
            "other numbers": (("d",), "a", 1, "with other numbers, not merged"),
        }
        for what, (sources, into, code, said) in cases.items():
            found = merge(*(folder / source for source in sources), into=folder / into)
            tally.tried[what] += 1
            tally.notes.append(f"{what}: {found.seconds:.1f} s, {found.peak / 1e6:.0f} MB")
            tally.lost(found.code == code and said in found.text, f"{what}: exit code {found.code}, {found.text}")
            tally.lost(found.seconds < MOST_SECONDS, f"{what} takes {found.seconds:.1f} s")
            tally.lost(found.peak < MOST_BYTES, f"{what} takes {found.peak / 1e6:.0f} MB")
        with Store.open(folder / "new", create=False) as merged, Store.open(folder / "b", create=False) as source:
            ids = grids[1].all_runs()
            tally.believed(merged.epochs(ids) == source.epochs(ids), "what was merged is not what was there")


if __name__ == "__main__":
    sys.exit(main(run, 2520))
