"""Which epoch a run can continue from, read from the headers of its checkpoint. No torch.

A safetensors file is 8 bytes of little-endian header length, the header as JSON, then the tensors; the header
tells where each tensor ends, whose run it is and the CRC-32 of the whole file: a file that does not keep to all of
that is damaged, and its run starts anew.
"""

import json
import stat
import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from asymbp_cli.errors import StoreError
from asymbp_cli.files.patience import patiently
from asymbp_cli.files.whole import replace

_FACTS = {"run", "epoch", "diverged", "crc32"}
_FILE_CRC = "file_crc32"  # of the whole file, in which it is ten zeros
_NO_CRC = "0" * 10
_LONGEST_HEADER = 1 << 20  # bytes; ours take a few thousand
_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)  # what reading a damaged file raises


def checkpoint_path(directory: Path, run_id: str) -> Path:
    """Return the path of a run's checkpoint."""
    return directory / f"{run_id}.safetensors"


def saved_epoch(directory: Path, run_id: str) -> int:
    """Return the epoch after which the run's checkpoint was written; 0 if it is missing or damaged.

    Raises StoreError if it cannot be read: perhaps it is intact.
    """
    path = checkpoint_path(directory, run_id)
    try:
        is_file = stat.S_ISREG(patiently(path.stat).st_mode)
        return epoch_in(patiently(path.read_bytes), run_id) if is_file else 0
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        raise StoreError(
            f"cannot read the checkpoint {path}: {error.strerror}. Run the same command again once it can be "
            "read, or delete it, and its run starts anew"
        ) from error


def saved_epochs(directory: Path, run_ids: Iterable[str]) -> dict[str, int]:
    """Return `saved_epoch` of every run, by id."""
    return {run_id: saved_epoch(directory, run_id) for run_id in run_ids}


def all_saved_epochs(directory: Path) -> dict[str, int]:
    """Return the epoch of every intact checkpoint in a directory, by run."""
    saved = saved_epochs(directory, (path.stem for path in directory.glob("*.safetensors")))
    return {run_id: epoch for run_id, epoch in saved.items() if epoch}


def discard(directory: Path, run_ids: Iterable[str]) -> None:
    """Delete the checkpoints of runs that need none any more."""
    for run_id in run_ids:
        _delete(checkpoint_path(directory, run_id))


def write(directory: Path, run_id: str, content: bytes, *, durable: bool = True) -> None:
    """Replace the run's checkpoint; a crash leaves the old one or the new one, never a part.

    `durable`: it survives a loss of power, too, which takes longer.

    Raises StoreError if the directory cannot be written or the disk is full.
    """
    target = checkpoint_path(directory, run_id)
    try:
        patiently(partial(directory.mkdir, parents=True, exist_ok=True))
        patiently(partial(replace, target, content, durable=durable))
    except OSError as error:
        raise StoreError(
            f"cannot write the checkpoint {target}: {error.strerror}. What was saved before is intact; "
            "free some space or choose another directory with --results DIR, then run the same command again"
        ) from error


def sweep(directory: Path) -> None:
    """Delete half-written checkpoints that a killed process left; nothing may be training."""
    for path in directory.glob(".*.safetensors.*"):
        _delete(path)


def _delete(path: Path) -> None:
    try:
        patiently(partial(path.unlink, missing_ok=True))
    except OSError as error:
        raise StoreError(f"cannot delete {path}: {error.strerror}; delete it yourself") from error


def seal(save: Callable[[dict[str, str]], bytes], facts: Mapping[str, str]) -> bytes:
    """Return a safetensors file that `save` makes of `facts`, with a checksum of all of it among them."""
    content = save({**facts, _FILE_CRC: _NO_CRC})
    return content.replace(_field(_NO_CRC), _field(f"{zlib.crc32(content):010d}"), 1)


def _field(checksum: str) -> bytes:
    return f'"{_FILE_CRC}":"{checksum}"'.encode()


def _is_sealed(content: bytes, checksum: str) -> bool:
    """Return whether a file has the checksum that it states."""
    return f"{zlib.crc32(content.replace(_field(checksum), _field(_NO_CRC), 1)):010d}" == checksum


def read_sealed(content: bytes) -> dict[str, str] | None:
    """Return the facts in a file that `seal` made; None if it is damaged, or anything else."""
    try:
        metadata = _read_metadata(content)
        return metadata if _is_sealed(content, metadata[_FILE_CRC]) else None
    except _DAMAGED:
        return None


def read_facts(path: Path) -> dict[str, str] | None:
    """Return the facts in the header of a safetensors file, of which no more is read; None if it has none."""
    try:
        with path.open("rb") as file:
            return _read_metadata(file.read(8 + _LONGEST_HEADER))
    except (OSError, *_DAMAGED):
        return None


def _read_metadata(content: bytes) -> dict[str, str]:
    """Return the facts in the header of a safetensors file; raises one of `_DAMAGED` if it has none."""
    length = int.from_bytes(content[:8], "little")
    if length > _LONGEST_HEADER:
        raise ValueError(f"a header of {length} bytes")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return metadata


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


def epoch_in(content: bytes, run_id: str) -> int:
    """Return the epoch after which a checkpoint of the run was made; 0 if it is damaged, or of another run."""
    try:
        return _read_epoch(content, run_id)
    except _DAMAGED:
        return 0


def _read_epoch(content: bytes, run_id: str) -> int:
    metadata = _read_metadata(content)
    if _FILE_CRC in metadata:
        intact = _is_sealed(content, metadata[_FILE_CRC])
    else:  # written before 0.6.0
        intact = int(metadata["crc32"]) == payload_checksum(content) and _is_intact(metadata)
    return max(int(metadata["epoch"]), 0) if intact and metadata["run"] == run_id else 0
