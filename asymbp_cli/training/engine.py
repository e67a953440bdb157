"""Trains one stack of runs and yields events. Knows no terminal, no database, no dataset by name.

Nothing is read on the host inside an epoch: losses and errors are summed on the device and read at its end.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import torch
from torch import Tensor

from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.errors import StoreError
from asymbp_cli.events import (
    CheckpointDue,
    CheckpointSaved,
    EpochEnded,
    EpochKept,
    Event,
    Measured,
    Progress,
    RunDiverged,
    RunFinished,
)
from asymbp_cli.specs.modules import WhichWeights
from asymbp_cli.specs.runs import Stack
from asymbp_cli.training import checkpoint
from asymbp_cli.training.augmentation import Augmentation
from asymbp_cli.training.bank import Bank
from asymbp_cli.training.checkpoint import Checkpoint
from asymbp_cli.training.cuda_graphs import PLAIN_CALLS, make_graphs
from asymbp_cli.training.device import open_device, set_precision
from asymbp_cli.training.draws import batch_order
from asymbp_cli.training.evaluation import Evaluation, Score, first_class
from asymbp_cli.training.measures.meter import Meter
from asymbp_cli.training.model import Model
from asymbp_cli.training.step import TrainingStep
from asymbp_cli.training.weight_files import KeepWeights
from asymbp_cli.training.weights import WeightKeeper

_PROGRESS_SECONDS = 0.25
_POSTPONED_SECONDS = 5.0  # until a checkpoint is due again that could not be written


def train_stack(
    stack: Stack,
    data: ResidentData,
    *,
    device: str = "cpu",
    graphs: bool = True,
    checkpoints: Path | None = None,
    checkpoint_seconds: float = 60.0,
    keep: KeepWeights | None = None,
) -> Iterator[Event]:
    """Train all runs of `stack` on `data` to their last epoch, yielding what happens.

    Continues after `stack.start_epoch` from the files in `checkpoints`, and replaces them at epoch ends at
    most every `checkpoint_seconds`. On CUDA steps are captured in graphs, unless `graphs` is False. The weights
    that `keep` asks for are written at the end. Raises DeviceError, CaptureError (a graph failed: only a fresh
    process can continue), StoreError (a checkpoint is missing, or a file cannot be written).
    """
    trainer = Trainer(stack, data, open_device(device), graphs=graphs, keep=keep.which if keep else None)
    if stack.start_epoch:
        trainer.restore(_directory(checkpoints), stack.start_epoch)
    epochs = range(stack.start_epoch + 1, trainer.protocol.epochs + 1)
    if checkpoints is None:
        for epoch in epochs:
            yield from trainer.train_epoch(epoch)
    else:
        yield from _train_with_checkpoints(trainer, epochs, checkpoints, checkpoint_seconds)
    if keep and trainer.keeper:
        trainer.keeper.write(keep.directory)
    yield from trainer.finish()


def _train_with_checkpoints(trainer: "Trainer", epochs: range, directory: Path, seconds: float) -> Iterator[Event]:
    """Train `epochs`, with a checkpoint every so many seconds; all are written at the end.

    That of the last epoch is kept for an interruption.
    """
    runs, began, writing = tuple(run.id for run in trainer.stack.runs), time.monotonic(), list[CheckpointSaved]()
    with checkpoint.Writer(directory, background=trainer.device.type != "cpu") as writer:
        for epoch in epochs:
            yield from trainer.train_epoch(epoch)
            if epoch == epochs[-1]:
                break
            is_due = time.monotonic() - began >= seconds
            if is_due or writer.may_keep:
                kept = writer.keep(partial(trainer.checkpoints, epoch))
                yield EpochKept(trainer.stack.id, runs, epoch, writer.save_kept)
            if is_due:
                due = CheckpointDue(trainer.stack.id)
                yield due
                if due.postponed:
                    began = time.monotonic() - seconds + min(seconds, _POSTPONED_SECONDS)
                    continue
                writer.wait()
                yield from writing
                writer.start(kept)
                began, writing = time.monotonic(), [CheckpointSaved(runs, epoch)]
            if writing and not writer.busy:
                writer.wait()
                yield from writing
                writing = []
        writer.wait()
        yield from writing


class Trainer:
    """A stack in training: its model, bank and data on one device; without `graphs` CUDA's are not used.

    `together` says whether replicas are computed at once, as on CUDA by default; `keep`, which weights are kept.
    """

    def __init__(
        self,
        stack: Stack,
        data: ResidentData,
        device: torch.device,
        *,
        graphs: bool = True,
        together: bool | None = None,
        keep: WhichWeights | None = None,
    ) -> None:
        first = stack.runs[0]
        self.stack, self.data, self.device = stack, data, device
        self.protocol, self.seed = first.protocol, first.seed
        self.model = Model.of(first.network, first.protocol, first.method)
        self.bank = Bank(stack.runs, self.model, device, together=together)
        self.augmentation = Augmentation(self.protocol, self.seed, len(data.train.y), device)
        captures = make_graphs(device, self.bank.generators + self.augmentation.generators) if graphs else None
        self.bank.may_read = captures is None and device.type == "cpu"
        self.step = TrainingStep(self.model, self.bank, data, self.augmentation, captures)
        self.evaluation = Evaluation(self.model, self.bank, data, captures)
        self.meter = Meter(stack.runs, self.bank, self.step, lambda: self.batches(1)[0])
        self.keeper = WeightKeeper(keep, stack.runs, self.bank, self.evaluation, data) if keep else None
        self.dead: set[int] = set()  # replicas known on the host to have diverged
        self.scores: dict[int, Score] = {}  # last test scores

    def train_epoch(self, epoch: int) -> Iterator[Event]:
        """Train, evaluate and report one epoch (counted from 1)."""
        began = time.monotonic()
        active = [replica for replica in range(len(self.stack.runs)) if replica not in self.dead]
        yield from self._prepare(epoch, active)
        if active:
            batches = self.batches(epoch)
            yield from self._show(epoch, self.step.take(batches), len(batches))
        yield from self._mark_diverged(epoch)
        alive = [replica for replica in active if replica not in self.dead]
        scores = self.evaluation.scores(alive, self.statistics_batches(epoch)) if alive else {}
        measures = self.meter() if alive else {}
        seconds = (time.monotonic() - began) / max(len(active), 1)
        yield from self._report(epoch, scores, measures, seconds if active else 0.0)

    def begin_epoch(self, epoch: int, replicas: Sequence[int]) -> None:
        """Prepare the steps of `epoch`, in which `replicas` train."""
        for _ in self._prepare(epoch, replicas):
            pass

    def _prepare(self, epoch: int, replicas: Sequence[int]) -> Iterator[Event]:
        """Do so, and yield how far the mirroring before the first epoch is, which counts as epoch 0."""
        self.use_precision()
        if self.protocol.momentum_at_change == "reset" and epoch > 1 and self._changes(epoch):
            self.bank.forget()
        if self.bank.change_decay(self.protocol.decay(epoch)):
            self.step.captured.forget()  # a kernel has it as a number
        self.step.begin_epoch(replicas)
        if epoch == 1 and self.step.mirror_passes:
            steps = self.step.mirror_passes * len(self.batches(epoch))
            yield from self._show(0, self.step.mirror_first(steps), steps)
        self.bank.begin_epoch(epoch, self.protocol.rate(epoch))
        self.augmentation.begin_epoch(epoch)

    def use_precision(self) -> None:
        """Let this process compute in the protocol's precision, until another trainer sets its own."""
        set_precision(self.device, self.protocol.precision)

    def warm_up(self, index: Tensor) -> None:
        """Train on a mini-batch until steps take their usual time: once, on CUDA until the step is captured."""
        for _ in range(PLAIN_CALLS + 1 if self.device.type == "cuda" else 1):
            self.step(index)

    def _show(self, epoch: int, done: Iterator[int], steps: int) -> Iterator[Event]:
        """Yield now and then how many of an epoch's steps are done."""
        shown = time.monotonic()
        for number in done:
            if time.monotonic() - shown > _PROGRESS_SECONDS:
                shown = time.monotonic()
                yield Progress(self.stack.id, epoch, number, steps)

    def _changes(self, epoch: int) -> bool:
        p = self.protocol
        before = (p.rate(epoch - 1), p.samples_per_batch(epoch - 1))
        return before != (p.rate(epoch), p.samples_per_batch(epoch))

    def batches(self, epoch: int) -> list[Tensor]:
        """Return the sample indices of each mini-batch of `epoch`, on the device."""
        count, size = len(self.data.train.y), self.protocol.samples_per_batch(epoch)
        order = batch_order(self.seed, epoch, count, self.protocol.order)
        batches = list(torch.split(order.to(self.device), size))
        if self.protocol.last_batch == "drop" and len(batches) > 1 and len(batches[-1]) < size:
            batches.pop()
        return batches

    def statistics_batches(self, epoch: int) -> list[Tensor]:
        """Return the mini-batches for test statistics after `epoch`: the first ones of the next epoch.

        If it has too few, it may start again from its first (`batch_norm_short_epochs: cycle`).
        """
        if self.model.batch_norm == "none":
            return []
        batches = self.batches(epoch + 1)
        again = cycle(batches) if self.protocol.batch_norm_short_epochs == "cycle" else batches
        return list(islice(again, self.protocol.batch_norm_batches))

    def _mark_diverged(self, epoch: int) -> Iterator[Event]:
        for replica, alive in enumerate(self.bank.alive.tolist()):
            if not alive and replica not in self.dead:
                self.dead.add(replica)
                yield RunDiverged(self.stack.runs[replica].id, epoch)

    def _report(
        self,
        epoch: int,
        scores: Mapping[int, list[Score]],
        measures: Mapping[int, Measured],
        seconds: float,
    ) -> Iterator[Event]:
        losses, wrong, seen = self.step.loss.tolist(), self.step.wrong.tolist(), self.step.seen
        missing = [first_class(split) for split in self.evaluation.splits]
        for replica, run in enumerate(self.stack.runs):
            diverged, trained = replica not in scores, replica in self.step.replicas
            test, held_out = (*scores.get(replica, missing), None)[:2]
            assert test is not None
            self.scores[replica] = test
            event = EpochEnded(
                run=run.id,
                epoch=epoch,
                rate=self.protocol.rate(epoch) * run.rate_multiplier,
                train_loss=losses[replica] / seen if seen and not diverged else math.nan,
                train_wrong=wrong[replica],
                train_seen=seen if trained else 0,
                test_loss=test.loss,
                test_wrong=test.wrong,
                test_seen=test.seen,
                validation_wrong=held_out.wrong if held_out else None,
                validation_seen=held_out.seen if held_out else None,
                one_class=test.one_class,
                diverged=diverged,
                seconds=seconds if trained else 0.0,
                validation_loss=held_out.loss if held_out else None,
                measures={} if diverged else measures[replica],
            )
            if self.keeper:
                self.keeper.note(event)
            yield event

    def finish(self) -> Iterator[Event]:
        """Report how each run ended."""
        for replica, run in enumerate(self.stack.runs):
            one_class = self.scores[replica].one_class
            state = "diverged" if replica in self.dead else "collapsed" if one_class else "finished"
            yield RunFinished(run.id, state, self.protocol.epochs)  # type: ignore[arg-type]

    def checkpoints(self, epoch: int) -> dict[str, Checkpoint]:
        """Return the checkpoint of every run after `epoch`, by id: copies on the host."""
        weights, state = (bank.detach().to("cpu", copy=True) for bank in (self.bank.weights, self.bank.state))
        kept, steps = self.keeper.kept if self.keeper else {}, int(self.bank.steps)
        rows = enumerate(zip(self.stack.runs, weights, state.flatten(1), strict=True))
        return {
            run.id: Checkpoint(epoch, w, of_rule, number in self.dead, steps, kept.get(run.id))
            for number, (run, w, of_rule) in rows
        }

    def restore(self, directory: Path, epoch: int) -> None:
        """Continue from the checkpoints of `epoch`; raises StoreError if one is of another epoch."""
        for replica, run in enumerate(self.stack.runs):
            saved = checkpoint.read(directory, run.id)
            if saved.epoch != epoch or len(saved.weights) != self.model.row_size:
                raise StoreError(f"the checkpoint of run {run.id} is not of epoch {epoch}; run the command again")
            with torch.no_grad():
                self.bank.weights[replica].copy_(saved.weights)
                self.bank.state[replica].copy_(saved.state.view_as(self.bank.state[replica]))
                self.bank.steps.fill_(saved.steps)
            if self.keeper:
                self.keeper.restore(run.id, saved.kept, epoch)
            if saved.diverged:
                self.dead.add(replica)
                self.bank.alive[replica] = False


def _directory(checkpoints: Path | None) -> Path:
    if checkpoints is None:
        raise StoreError("a stack that continues needs the directory of its checkpoints")
    return checkpoints
