"""Kills workers, nodes, drivers and heads of Ray clusters with small studies in them, and interrupts the studies.

python tests/campaigns/ray_nodes.py COUNT [SEED]: COUNT times one of these, each after a number of epochs that is
drawn; a cluster of three nodes for every seven. Exit code 1 if a result differs in a bit from that of an
undisturbed study, if more than what came after the last checkpoints is lost, or if a process or file stays.
"""

import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from tally import Tally, main

sys.path.append(str(Path(__file__).parents[1] / "executors"))

from ray_namespace import run_scenarios, why_not

SCENARIOS = ("lose_node", "lose_worker", "interrupt", "kill_driver", "compute", "own", "lose_cluster")
LONGEST_STOP = 15.0  # seconds


def run(tally: Tally, seed: int) -> None:
    """Note in the tally what becomes of studies in clusters."""
    if reason := why_not():
        tally.notes.append(f"not run: {reason}")
        return
    source = random.Random(seed)
    while tally.left:
        names = SCENARIOS[: tally.left]
        os.environ["DISTURBED_AFTER"] = str(source.randint(1, 8))
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = run_scenarios(Path(folder), *names, seconds=1800)
            except RuntimeError as error:
                tally.tried[names[0]] += 1
                tally.check_words(str(error), "a cluster")
                continue
        for name in names:
            tally.tried[name] += 1
            _check(name, found[name], tally)


def _check(name: str, seen: dict[str, Any], tally: Tally) -> None:
    what = f"{name} after {os.environ['DISTURBED_AFTER']} epochs: {seen}"
    if name == "own":
        tally.lost(seen["code"] == 0 and not seen["left"] and not seen["said"], what)
        return
    tally.believed(seen["same"], what)
    tally.lost(not seen["left"], what)
    tally.lost(not any(failure.endswith("None") for failure in seen["failures"]), what)
    if name == "interrupt":
        tally.lost(not seen["lost"] and not seen["workers"] and seen["seconds"] < LONGEST_STOP, what)


if __name__ == "__main__":
    raise SystemExit(main(run, 60))
