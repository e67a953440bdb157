"""The command line of asymbp, but with a checkpoint after every epoch.

If `FAKE_EPOCH_SECONDS` is set, an engine without arithmetic trains, as in other tests; its epochs take that long.
"""

import os
import sys
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any


def choose_engine() -> dict[str, Any]:
    """Return the arguments of an `Execution` that choose the engine."""
    if "FAKE_EPOCH_SECONDS" not in os.environ:
        return {}
    sys.path.append(str(Path(__file__).parents[1]))
    from fake_engine import train

    return {"train": train}


if __name__ == "__main__":
    from asymbp_cli.__main__ import main  # first, as in the command
    from asymbp_cli import study  # isort: skip
    from asymbp_cli.api import arguments

    how = choose_engine()
    if how:
        study._measure_steps = lambda *_: defaultdict(lambda: 0.001)  # needs no torch
    vars(arguments)["Execution"] = partial(study.Execution, checkpoint_seconds=0.0, **how)
    main()
