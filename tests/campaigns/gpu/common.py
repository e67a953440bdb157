"""What the GPU measurements share: the device, the clock of a part, and where results go."""

import json
import os
import time
from pathlib import Path
from typing import Any

import torch

OUT = Path(os.environ.get("OUT", "/tmp/out"))
DEVICE = os.environ.get("CHECK_DEVICE", "cuda:0")  # "cpu" tries the scripts themselves
GPU = DEVICE.startswith("cuda")


class Budget:
    """The seconds that a part may take, from now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Return the seconds that are left."""
        return self._end - time.monotonic()


def sync() -> None:
    """Wait until the GPU has done its work."""
    if GPU:
        torch.cuda.synchronize()


def save(name: str, content: object) -> None:
    """Put results into measures.json, under `name`; called again and again: a part that is stopped leaves some."""
    OUT.mkdir(parents=True, exist_ok=True)
    file, temporary = OUT / "measures.json", OUT / ".measures.json"
    measures = json.loads(file.read_text()) if file.exists() else {}
    temporary.write_text(json.dumps(measures | {name: content}, indent=1))
    temporary.replace(file)


def show(part: str, row: dict[str, Any]) -> None:
    """Print a row of results at once."""
    cells = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()}
    print(part, cells, flush=True)
