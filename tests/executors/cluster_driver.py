"""A driver that a test can kill: trains the small grid of `test_slurm.py` in jobs. cluster_driver.py DIRECTORY"""

import sys
from pathlib import Path

import cluster_trainings
import test_slurm

from asymbp_cli.cli.interruption import handle_interruptions
from asymbp_cli.errors import StudyInterrupted

if __name__ == "__main__":
    handle_interruptions()
    try:
        test_slurm.train(Path(sys.argv[1]), cluster_trainings.train)
    except StudyInterrupted as interruption:
        print(interruption)
