"""One safetensors file per run, replaced atomically: what cannot be derived again from seed and epoch.

Files are per run, not per stack, so that a study can resume in any packing. Random streams restart each epoch
and test statistics are recomputed after it, so weights and optimizer state are all there is.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from asymbp_cli.errors import StoreError
from asymbp_cli.files.patience import patiently
from asymbp_cli.training import resume
from asymbp_cli.training.resume import checkpoint_path, seal
from asymbp_cli.training.weights import Kept

_KEPT = "kept."  # begins the names of tensors of the best epoch
_MOST_KEEPING = 100  # seconds of training for each second of copying from another device


@dataclass(frozen=True)
class Checkpoint:
    """A run after `epoch`: its weights [P] and optimizer state [states * P], and whether it has diverged.

    `steps` counts the updates since the state was 0, if the update rule does. `kept` are the weights that are kept
    of it so far, if they are asked for.
    """

    epoch: int
    weights: Tensor
    state: Tensor
    diverged: bool
    steps: int = 0
    kept: Kept | None = None


def write(directory: Path, run_id: str, checkpoint: Checkpoint, *, durable: bool = True) -> None:
    """Replace the run's checkpoint, as `resume.write` does. Raises StoreError."""
    tensors = {"weights": checkpoint.weights.cpu().contiguous(), "state": checkpoint.state.cpu().contiguous()}
    numbers = {"epoch": checkpoint.epoch, "diverged": int(checkpoint.diverged), "steps": checkpoint.steps}
    facts = {name: str(number) for name, number in numbers.items()} | {"run": run_id}
    if checkpoint.kept:
        tensors |= {f"{_KEPT}{name}": tensor for name, tensor in checkpoint.kept.tensors.items()}
        facts["kept"] = checkpoint.kept.facts
    resume.write(directory, run_id, seal(lambda metadata: save(tensors, metadata), facts), durable=durable)


class Writer:
    """Writes the checkpoints of a stack; in the `background` by a thread, while the device trains on.

    Those of the last epoch are kept at hand for an interruption. Copying them from a GPU takes time, of which no
    more than a hundredth is spent on it.
    """

    def __init__(self, directory: Path, *, background: bool) -> None:
        self._directory = directory
        self._thread = ThreadPoolExecutor(1, "checkpoints") if background else None
        self._pending: Future[None] | None = None
        self._writing = threading.Lock()
        self._kept: Mapping[str, Checkpoint] = {}
        self._keep_from = 0.0  # seconds on the monotonic clock

    @property
    def may_keep(self) -> bool:
        """Return whether it is worth the time to keep the checkpoints of an epoch."""
        return time.monotonic() >= self._keep_from

    def keep(self, make: Callable[[], Mapping[str, Checkpoint]]) -> Mapping[str, Checkpoint]:
        """Keep and return what `make` makes: the checkpoints of an epoch that has ended, which nobody changes."""
        began = time.monotonic()
        self._kept = make()
        ended = time.monotonic()
        if self._thread is not None:
            self._keep_from = ended + _MOST_KEEPING * (ended - began)
        return self._kept

    def save_kept(self) -> None:
        """Write the checkpoints that are kept; raises StoreError as `write`."""
        self._write_all(self._kept, durable=False)

    def start(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Start to write checkpoints by run, which nobody may change meanwhile; raises StoreError as `write`."""
        self.wait()
        if self._thread is None:
            self._write_all(checkpoints)
        else:
            self._pending = self._thread.submit(self._write_all, checkpoints)

    @property
    def busy(self) -> bool:
        """Return whether checkpoints are being written."""
        return self._pending is not None and not self._pending.done()

    def wait(self) -> None:
        """Wait until everything is written; raises StoreError as `write`."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _write_all(self, checkpoints: Mapping[str, Checkpoint], *, durable: bool = True) -> None:
        with self._writing:
            for run_id, found in checkpoints.items():
                write(self._directory, run_id, found, durable=durable)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._thread.shutdown()


def read(directory: Path, run_id: str) -> Checkpoint:
    """Return the run's checkpoint; raises StoreError if it is missing or damaged."""
    source = checkpoint_path(directory, run_id)
    try:
        return patiently(partial(_read, source))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise StoreError(f"the checkpoint {source} is damaged: {error}. Delete it to train anew") from error


def _read(source: Path) -> Checkpoint:
    with safe_open(source, framework="pt") as file:
        metadata = file.metadata()
        return Checkpoint(
            epoch=int(metadata["epoch"]),
            weights=file.get_tensor("weights"),
            state=file.get_tensor("state"),
            diverged=metadata["diverged"] == "1",
            steps=int(metadata.get("steps", "0")),  # not in files of before 0.10.0
            kept=_read_kept(file) if "kept" in metadata else None,
        )


def _read_kept(file: Any) -> Kept:
    """Return the weights of the best epoch in an open checkpoint that has them."""
    names = [name for name in file.keys() if name.startswith(_KEPT)]  # noqa: SIM118  # no mapping
    tensors = {name.removeprefix(_KEPT): file.get_tensor(name) for name in names}
    return Kept.of_facts(file.metadata()["kept"], tensors)
