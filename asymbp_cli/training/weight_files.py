"""The files of kept weights: one per run, for a plain `nn.Sequential`. No torch.

They are safetensors with facts about the run in the metadata. Equal content gives equal bytes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from asymbp_cli.errors import StoreError
from asymbp_cli.files.patience import patiently
from asymbp_cli.files.whole import replace
from asymbp_cli.specs.modules import WhichWeights
from asymbp_cli.training.resume import read_facts, read_sealed

FORMAT = "2"
_READ = (FORMAT, "1")  # which has no feedback weights


@dataclass(frozen=True)
class KeepWeights:
    """Which weights of each run are kept, and the directory of their files."""

    which: WhichWeights
    directory: Path


@dataclass(frozen=True)
class WeightFile:
    """A file of weights: the epoch they are of, which one that is, and its test error."""

    content: bytes
    which: WhichWeights
    epoch: int
    test_wrong: int
    test_seen: int


def weights_directory(results_directory: Path) -> Path:
    """Return the directory of kept weights in a results directory."""
    return results_directory / "weights"


def prepare_keeping(which: WhichWeights | None, results_directory: Path) -> KeepWeights | None:
    """Return which weights are kept, and where; the directory is made. Raises StoreError if it cannot be."""
    if which is None:
        return None
    directory = weights_directory(results_directory)
    try:
        patiently(partial(directory.mkdir, parents=True, exist_ok=True))
    except OSError as error:
        raise StoreError(
            f"cannot make the directory {directory}/ for weights: {error.strerror}. Move what is in the way, or "
            "use --results DIR"
        ) from error
    return KeepWeights(which, directory)


def weights_path(directory: Path, run_id: str) -> Path:
    """Return the path of a run's weights."""
    return directory / f"{run_id}.safetensors"


def write_weights(directory: Path, run_id: str, content: bytes) -> None:
    """Replace the weights of a run, whole or not at all. Raises StoreError if that fails."""
    target = weights_path(directory, run_id)
    try:
        patiently(partial(directory.mkdir, parents=True, exist_ok=True))
        patiently(partial(replace, target, content))
    except OSError as error:
        raise StoreError(
            f"cannot write the weights {target}: {error.strerror}. Free some space or choose another directory "
            "with --results DIR, then run the same command again"
        ) from error


def is_of_run(content: bytes, run_id: str) -> bool:
    """Return whether a file holds weights of the run, and is whole."""
    return _read_facts(content, run_id) is not None


def _read_facts(content: bytes, run_id: str) -> dict[str, str] | None:
    """Return the metadata of a file that holds weights of the run and is whole; None of any other."""
    facts = read_sealed(content)
    is_known = facts is not None and facts.get("run") == run_id and facts.get("format") in _READ
    return facts if is_known else None


def read_weights(directory: Path, run_id: str) -> WeightFile | None:
    """Return the weights of a run, or None if it has none; raises StoreError if they are damaged."""
    path = weights_path(directory, run_id)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    facts = _read_facts(content, run_id)
    if facts is None:
        raise StoreError(f"{path} is damaged, or of another version. Delete it")
    which: WhichWeights = "last" if facts["kept"] == "last" else "best"
    return WeightFile(content, which, int(facts["epoch"]), int(facts["test_wrong"]), int(facts["test_seen"]))


def read_kept(directory: Path, run_id: str) -> tuple[WhichWeights, int] | None:
    """Return which weights a run has, and of which epoch; None if it has none. Only the header is read."""
    facts = read_facts(weights_path(directory, run_id))
    if facts is None or "kept" not in facts:
        return None
    return "last" if facts["kept"] == "last" else "best", int(facts["epoch"])


def pack(tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]], metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file of tensors (type, shape, bytes) by name.

    Not by the safetensors package, since that writes metadata in an order that changes from call to call.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name, (kind, shape, content) in sorted(tensors.items()):
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [end, end + len(content)]}
        end += len(content)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    parts = [content for _, (*_, content) in sorted(tensors.items())]
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])
