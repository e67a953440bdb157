"""A driver that a test can kill: trains the grid of `local_cluster.py` in jobs. cluster_driver.py DIRECTORY"""

import os
import sys
import time
from pathlib import Path

import cluster_trainings
import local_cluster

from asymbp_cli.cli.interruption import handle_interruptions
from asymbp_cli.errors import StudyInterrupted
from asymbp_cli.executors.slurm import executor

if __name__ == "__main__":
    if "CLUSTER_DRIVER_FORGETS" in os.environ:  # the test kills it before it has noted anything
        executor.note_ids = lambda folders, ids: time.sleep(60)  # type: ignore[assignment]
    handle_interruptions()
    try:
        local_cluster.train(Path(sys.argv[1]), cluster_trainings.train)
    except StudyInterrupted as interruption:
        print(interruption)
