"""Which epoch a run can continue from, read from the headers of its checkpoint. No torch.

A safetensors file is 8 bytes of little-endian header length, the header as JSON, then the tensors; the header
tells where each tensor ends. A file that is shorter or longer than that was damaged.
"""

import json
from collections.abc import Iterable
from pathlib import Path

_LONGEST_HEADER = 1 << 20  # bytes; ours take a few hundred


def checkpoint_path(directory: Path, run_id: str) -> Path:
    """Return where the checkpoint of a run lies."""
    return directory / f"{run_id}.safetensors"


def saved_epoch(directory: Path, run_id: str) -> int:
    """Return the epoch after which the run's checkpoint was written; 0 where it is absent or damaged."""
    try:
        return _read_epoch(checkpoint_path(directory, run_id))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0


def saved_epochs(directory: Path, run_ids: Iterable[str]) -> dict[str, int]:
    """Return `saved_epoch` of every run, by id."""
    return {run_id: saved_epoch(directory, run_id) for run_id in run_ids}


def discard(directory: Path, run_ids: Iterable[str]) -> None:
    """Delete the checkpoints of runs that need none any more."""
    for run_id in run_ids:
        checkpoint_path(directory, run_id).unlink(missing_ok=True)


def sweep(directory: Path) -> None:
    """Delete half-written checkpoints that a killed process left; nothing may be training."""
    for path in directory.glob(".*.safetensors.*"):
        path.unlink(missing_ok=True)


def _read_epoch(path: Path) -> int:
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _LONGEST_HEADER:
            return 0
        header = json.loads(file.read(length))
        size = file.seek(0, 2)
    epoch = int(header.pop("__metadata__")["epoch"])
    end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    return epoch if epoch > 0 and size == 8 + length + end else 0
