"""Merges large results directories, and measures time of the processor and memory.

python tests/campaigns/merging.py RUNS: two directories, shards of one study with RUNS runs of 65 epochs each, are
merged into a new one. Then one is merged into another one that has the same runs, other runs, and the same runs
with other numbers. Exit code 1 if a merge takes more than 5 s or 300 MB, or if what is merged is not what was
there. 2520 runs are those of a table of 14 columns with 20 seeds.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

import small_study
from studies import ROOT
from tally import Tally, main

from asymbp_cli.events import EpochEnded, RunFinished, WorkerFound
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.results.provenance import collect
from asymbp_cli.results.store import Store
from asymbp_cli.scheduling.shards import Part, take_part
from asymbp_cli.specs.shards import Shard

EPOCHS = 65
MOST_SECONDS, MOST_BYTES = 5.0, 300e6
METHODS = ("SGD", "BM", "uSF", "uSF+BN", "uSF+BN+BM", "brSF", "brSF+BN", "brSF+BN+BM", "frSF", "frSF+BN",
           "frSF+BN+BM", "RndF", "RndF+BN", "RndF+BN+BM")  # fmt: skip
RATES = (10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02)
#: the command; the last line of standard error has what it took. A parent cannot tell: its own peak counts, too
_MEASURED = """
import json, re, resource, sys
from pathlib import Path
from asymbp_cli.__main__ import main
try:
    main()
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = re.search("VmHWM:\\\\s*([0-9]+) kB", Path("/proc/self/status").read_text())
    print(json.dumps([used.ru_utime + used.ru_stime, 1024 * int(peak[1])]), file=sys.stderr)
"""


@dataclass(frozen=True)
class Measured:
    """What a command took, and what it said."""

    seconds: float  # of the processor
    peak: int  # bytes
    code: int
    text: str


#: merges directories into the last one
Merge = Callable[..., Measured]


def make_grid(runs: int) -> Grid:
    """Return a grid of about as many runs."""
    seeds, methods = max(1, runs // (len(METHODS) * len(RATES))), METHODS[: max(1, runs // len(RATES))]
    grid = small_study.grid(*methods, epochs=EPOCHS, multipliers=RATES)
    return grid.model_copy(update={"seeds": tuple(range(seeds))})


def take_parts(runs: int) -> tuple[Grid, list[Part]]:
    """Return a grid of about twice as many runs, and its two shards."""
    grid, counts = make_grid(2 * runs), {small_study.INFO.fingerprint: small_study.INFO.train_count}
    return grid, [take_part([grid], counts, Shard(2, number)) for number in (1, 2)]


def fill(directory: Path, grid: Grid, part: Part, shift: int = 0) -> None:
    """Store a shard of a grid with numbers that are made of the epoch; every other run's are `shift` higher."""
    with Store.open(directory) as store, store.writing():
        store.save_dataset(small_study.INFO)
        store.save_grid(grid, part.mark.add_to("asymbp reproduce --table 2"))
        runs = [run for run_id, run in grid.all_runs().items() if run_id in part.runs]
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
    arguments = ["store", "merge", *map(str, sources), "--results", str(into)]
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    seconds, peak = json.loads(done.stderr.splitlines()[-1])
    return Measured(seconds, peak, done.returncode, done.stdout)


def run(tally: Tally, seed: int, merge: Merge = merge) -> None:
    """Note in the tally what merging large results takes; no seed changes it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grid, (one, other) = take_parts(tally.goal)
        for place, part, shift in (("a", one, 0), ("b", other, 0), ("c", one, 0), ("d", one, 1)):
            fill(folder / place, grid, part, shift)
        cases = {
            "two into a new directory": (
                ("a", "b"),
                "new",
                0,
                f"2 of 2 shards, all {one.total:,} runs have ended",
            ),
            "the same runs": (("c",), "a", 0, f"{len(one.runs):,} already there"),
            "other runs": (("b",), "c", 0, f"{len(other.runs):,} new"),
            "other numbers": (("d",), "a", 1, "with other numbers, not merged"),
        }
        for what, (sources, into, code, said) in cases.items():
            found = merge(*(folder / source for source in sources), into=folder / into)
            tally.tried[what] += 1
            tally.notes.append(f"{what}: {found.seconds:.1f} s, {found.peak / 1e6:.0f} MB")
            tally.lost(found.code == code and said in found.text, f"{what}: exit code {found.code}, {found.text}")
            tally.lost(found.seconds < MOST_SECONDS, f"{what} takes {found.seconds:.1f} s")
            tally.lost(found.peak < MOST_BYTES, f"{what} takes {found.peak / 1e6:.0f} MB")
        with Store.open(folder / "new", create=False) as merged:
            for place, part in (("a", one), ("b", other)):
                with Store.open(folder / place, create=False) as source:
                    same = merged.epochs(part.runs) == source.epochs(part.runs)
                    tally.believed(same, f"what was merged is not what was in {place}")


if __name__ == "__main__":
    sys.exit(main(run, 2520))
