"""A log for TensorBoard: the curves of each run, written by PyTorch's own SummaryWriter."""

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from asymbp_cli.errors import UsageError
from asymbp_cli.events import EpochEnded, RunFinished
from asymbp_cli.executors import StackStarted, StudyEvent
from asymbp_cli.specs.references import short_name

_NO_NAME = re.compile(r"[^A-Za-z0-9+%.=_-]+")  # what is not in the name of a directory


def check_package() -> None:
    """Raise UsageError if TensorBoard is not installed."""
    _load_writer()


def _load_writer() -> Callable[..., Any]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            "--log tensorboard=DIR needs the package tensorboard, which is not installed. "
            "Run pip install 'asymbp[tensorboard]', or leave --log out"
        ) from error
    return SummaryWriter


class TensorBoardLog:
    """Writes the epochs of each run to a directory of its own in `directory`.

    A resumed run continues in the same one: what TensorBoard has of the epochs that are trained anew is dropped.
    """

    def __init__(self, directory: Path, name_run: Callable[[str], str]) -> None:
        self._directory, self._name_run = directory, name_run
        self._make_writer = _load_writer()
        self._start_epochs: dict[str, int] = {}
        self._writers: dict[str, Any] = {}  # of runs in training: each has a file open

    def handle(self, event: StudyEvent) -> None:
        """Write an epoch, or begin and end the files of runs."""
        match event:
            case StackStarted():
                for run_id in event.runs:
                    self._end(run_id)
                    self._start_epochs[run_id] = event.start_epoch
            case EpochEnded():
                for tag, value in list_scalars(event):
                    self._writer(event.run).add_scalar(tag, value, event.epoch)
            case RunFinished():
                self._end(event.run)

    def close(self) -> None:
        """Write what is left, and close all files."""
        for run_id in list(self._writers):
            self._end(run_id)

    def _writer(self, run_id: str) -> Any:
        if run_id not in self._writers:
            name = _NO_NAME.sub("-", f"{self._name_run(run_id)} {run_id[:8]}")
            first = self._start_epochs.get(run_id, 0) + 1
            self._writers[run_id] = self._make_writer(str(self._directory / name), purge_step=first)
        return self._writers[run_id]

    def _end(self, run_id: str) -> None:
        if (writer := self._writers.pop(run_id, None)) is not None:
            writer.close()


#: for `logs.LOGS`
open_log = TensorBoardLog


def list_scalars(epoch: EpochEnded) -> Iterator[tuple[str, float]]:
    """Yield what is logged of an epoch: a name in groups, and a finite number."""
    counts = {
        "train": (epoch.train_wrong, epoch.train_seen),
        "test": (epoch.test_wrong, epoch.test_seen),
        "validation": (epoch.validation_wrong, epoch.validation_seen),
    }
    for split, (wrong, seen) in counts.items():
        if wrong is not None and seen:
            yield f"error-percent/{split}", 100 * wrong / seen
    losses = {"train": epoch.train_loss, "test": epoch.test_loss, "validation": epoch.validation_loss}
    for split, loss in losses.items():
        if loss is not None and math.isfinite(loss):
            yield f"loss/{split}", loss
    yield "rate", epoch.rate
    for measure, values in epoch.measures.items():
        for layer, value in values.items():
            if value is not None:
                yield f"{short_name(measure)}/layer-{layer}", value
