"""Renders the pages of large studies, and measures time of the processor and size.

python tests/campaigns/pages.py RUNS: a page of one table, half finished, with RUNS runs of 65 epochs, and one of
the whole study of the paper with made-up numbers. Exit code 1 if one takes more than 3 s or 5 MB. 2520 runs are
those of the whole study.
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

import merging
from tally import Tally, main

from asymbp_cli.bench.report import fill_store

WHOLE = 2520  # runs of the whole study
MOST_SECONDS, MOST_BYTES = 3.0, 5e6


def render(directory: Path, page: Path) -> float:
    """Run the command in a process of its own; return its seconds of the processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    arguments = ["report", "--output", str(page), "--results", str(directory)]
    environment: Mapping[str, str] = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "asymbp_cli", *arguments], check=True, capture_output=True, env=environment
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run(tally: Tally, seed: int) -> None:
    """Note in the tally what the pages take."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grid, (part, _) = merging.take_parts(tally.goal)
        merging.fill(folder / "table", grid, part)
        places = {"table": "one table"}
        if tally.goal >= WHOLE:
            fill_store(folder / "whole", merging.EPOCHS)
            places["whole"] = "the whole study"
        for place, what in places.items():
            page = folder / f"{place}.html"
            seconds = render(folder / place, page)
            size = page.stat().st_size
            tally.tried[what] += 1
            tally.notes.append(f"{what}: {seconds:.1f} s, {size / 1e6:.1f} MB")
            tally.lost(seconds < MOST_SECONDS, f"{what} takes {seconds:.1f} s")
            tally.lost(size < MOST_BYTES, f"{what} takes {size / 1e6:.1f} MB")


if __name__ == "__main__":
    sys.exit(main(run, WHOLE))
