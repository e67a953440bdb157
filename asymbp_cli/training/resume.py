"""Which epoch a run can continue from, read from the headers of its checkpoint. No torch.

A safetensors file is 8 bytes of little-endian header length, the header as JSON, then the tensors; the header
tells where each tensor ends, whose run it is and the CRC-32 of the tensors: a file that does not keep to all of
that is damaged, and its run starts anew.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from asymbp_cli.errors import StoreError

_FACTS = {"run", "epoch", "diverged", "crc32"}
_LONGEST_HEADER = 1 << 20  # bytes; ours take a few hundred


def checkpoint_path(directory: Path, run_id: str) -> Path:
    """Return the path of a run's checkpoint."""
    return directory / f"{run_id}.safetensors"


def saved_epoch(directory: Path, run_id: str) -> int:
    """Return the epoch after which the run's checkpoint was written; 0 if it is missing or damaged."""
    try:
        return _read_epoch(checkpoint_path(directory, run_id), run_id)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 0


def saved_epochs(directory: Path, run_ids: Iterable[str]) -> dict[str, int]:
    """Return `saved_epoch` of every run, by id."""
    return {run_id: saved_epoch(directory, run_id) for run_id in run_ids}


def discard(directory: Path, run_ids: Iterable[str]) -> None:
    """Delete the checkpoints of runs that need none any more."""
    for run_id in run_ids:
        _delete(checkpoint_path(directory, run_id))


def sweep(directory: Path) -> None:
    """Delete half-written checkpoints that a killed process left; nothing may be training."""
    for path in directory.glob(".*.safetensors.*"):
        _delete(path)


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot delete {path}: {error.strerror}; delete it yourself") from error


def payload_checksum(content: bytes) -> int:
    """Return the CRC-32 of the tensors in a safetensors file."""
    return zlib.crc32(content[8 + int.from_bytes(content[:8], "little") :])


def header_checksum(metadata: Mapping[str, str]) -> int:
    """Return the CRC-32 of a checkpoint's facts, other than this number itself."""
    facts = sorted((key, value) for key, value in metadata.items() if key != "header_crc32")
    return zlib.crc32(json.dumps(facts).encode())


def _is_intact(metadata: Mapping[str, str]) -> bool:
    """Return whether the facts are as they were written; files of before 0.3.0 have no checksum of them."""
    if "header_crc32" in metadata:
        return int(metadata["header_crc32"]) == header_checksum(metadata)
    return metadata.keys() <= _FACTS and metadata.get("diverged", "0") in ("0", "1")


def _read_epoch(path: Path, run_id: str) -> int:
    if not path.is_file():
        return 0
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    if length > _LONGEST_HEADER:
        return 0
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    intact = metadata["run"] == run_id and int(metadata["crc32"]) == payload_checksum(content)
    return max(int(metadata["epoch"]), 0) if intact and _is_intact(metadata) else 0
