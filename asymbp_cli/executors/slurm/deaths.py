"""Why a job of a SLURM cluster has ended without saying so, by its state and by what it wrote as errors."""

import re
import sys
from pathlib import Path

from asymbp_cli.errors import UsageError
from asymbp_cli.executors import Failure
from asymbp_cli.executors.slurm.folders import has_logs, read_log

_CANNOT_IMPORT = re.compile(r"No module named '(asymbp_cli|submitit)")


def explain_death(results: Path, job_id: str, state: str, began: bool, adopted: bool) -> Failure:
    """Return why a job has ended in a state; `began` if it has sent anything, `adopted` if from an earlier driver.

    Raises UsageError if its node does not have what a worker needs.
    """
    state, log, where = state.split()[0], read_log(results, job_id), f"job {job_id} of the cluster"
    if adopted:
        return Failure(f"job {job_id} ended while no study listened ({state})", handed_back=True)
    if not began:
        _check_program(log)
    if not began and state == "CANCELLED":
        message = f"{where} was cancelled before it began"
    elif not began and not has_logs(results, job_id):
        message = (
            f"{where} ended before it began ({state}). Perhaps the nodes do not see {results.absolute()}: choose "
            "a directory that they share with --results DIR"
        )
    else:
        message = f"{where} ended without a word ({state})"
    return Failure(
        message,
        log or None,
        out_of_memory=state == "OUT_OF_MEMORY",
        lost_worker=state not in ("OUT_OF_MEMORY", "TIMEOUT", "PREEMPTED"),
        handed_back=state in ("TIMEOUT", "PREEMPTED"),
    )


def _check_program(log: str) -> None:
    """Raise UsageError if a node does not have the Python of this process, asymbp or submitit."""
    missing = None
    if found := _CANNOT_IMPORT.search(log):
        missing = found[1].removesuffix("_cli")
    elif f"{sys.executable}: No such file" in log:
        missing = sys.executable
    if missing:
        raise UsageError(
            f"a node of the cluster does not find {missing}. Run asymbp from a Python environment that all nodes "
            "see, with asymbp[slurm] installed in it"
        )
