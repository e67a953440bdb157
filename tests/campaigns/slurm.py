"""Faults of a cluster, on a real SLURM of one node: its time limit, its node, the worker, the driver, scancel.

python tests/campaigns/slurm.py COUNT: COUNT rounds of all of them, some minutes each. Only root may do so, with
slurmctld, slurmd, slurm-client and munge of Debian. Exit code 1 if a result differs in a bit from that of an
undisturbed study, a folder of a job stays, or a study ends otherwise than it should.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tally import Tally, main

EXECUTORS = Path(__file__).parents[1] / "executors"
sys.path[:0] = [str(EXECUTORS), str(EXECUTORS.parent)]

import local_cluster  # noqa: E402
import slurm_node  # noqa: E402
import small_study  # noqa: E402
from slurm_scenarios import SCENARIOS  # noqa: E402

_SECONDS = 900.0  # of a round


def run(tally: Tally, seed: int) -> None:
    """Note in the tally what becomes of studies."""
    if why := slurm_node.missing():
        raise SystemExit(f"not run: {why}")
    names = [name for name in SCENARIOS if name != "unknown_partition"]
    while tally.left:
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder)
            small_study.train(directory / "undisturbed", local_cluster.GRID)
            expected = small_study.numbers(directory / "undisturbed")
            script = [sys.executable, str(EXECUTORS / "slurm_scenarios.py"), str(directory), *names]
            command = slurm_node.in_namespace(directory / "node", *script)
            environment = local_cluster.environment()
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_SECONDS, check=False, env=environment
            )
            tally.check_words(done.stderr, "a round")
            found = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
        for name in names:
            tally.tried[name] += 1
            tally.lost(name in found, f"{name}: {done.stderr}")
            if name in found:
                tally.believed(found[name]["numbers"] == expected, f"{name}: other numbers")
                tally.lost(not found[name]["left"], f"{name}: {found[name]['left']}")


if __name__ == "__main__":
    raise SystemExit(main(run, 1))
