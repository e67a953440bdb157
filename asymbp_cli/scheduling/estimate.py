"""How much work runs are, and how long they will take."""

from collections.abc import Mapping
from dataclasses import dataclass

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.scheduling.multiplications import flop_per_sample
from asymbp_cli.specs.runs import Run, StepKind, step_kind

FORWARD = 1 / 3  # of a training step: forward, and the gradients of weights and inputs


@dataclass(frozen=True)
class Forecast:
    """What runs will take. An epoch costs seconds, or operations if steps are not timed."""

    epoch_cost: Mapping[str, float]  # of each run, by id
    is_timed: bool
    workers: int

    def seconds(self, remaining: Mapping[str, int]) -> float | None:
        """Return the seconds that runs with so many epochs left take, by id; None if steps are not timed.

        That is no less than the longest run takes.
        """
        costs = [epochs * self.epoch_cost[run_id] for run_id, epochs in remaining.items()]
        return max([sum(costs) / self.workers, *costs], default=0.0) if self.is_timed else None


def samples_per_epoch(run: Run, info: DecodedDataset) -> float:
    """Return the cost of an epoch, in training samples: evaluation and test statistics are forward passes."""
    protocol = run.protocol
    held_out = info.train_count * protocol.validation_fraction
    evaluated = info.test_count + held_out
    if run.method.batch_norm != "none":
        averaged = protocol.batch_norm_batches * min(protocol.samples_per_batch(1), info.train_count)
        cycles = protocol.batch_norm_short_epochs == "cycle"
        evaluated += averaged if cycles else min(averaged, info.train_count)
    return info.train_count - held_out + FORWARD * evaluated


def epoch_seconds(run: Run, info: DecodedDataset, seconds_per_step: Mapping[StepKind, float]) -> float:
    """Return the seconds that one epoch of a run takes, by the measured time of its kind of steps.

    That is of a full mini-batch; a dataset of fewer samples takes less in proportion.
    """
    kind = step_kind(run)
    return samples_per_epoch(run, info) * seconds_per_step[kind] / kind.batch_size


def epoch_flop(run: Run, info: DecodedDataset) -> float:
    """Return the floating-point operations of one epoch of a run, to weigh runs by before any was timed."""
    return samples_per_epoch(run, info) * flop_per_sample(run)


def flop_left(run: Run, train_count: int, start_epoch: int = 0) -> int:
    """Return the floating-point operations of training that remain of a run; at least 1.

    Exact, so that sums are too, and the same on every machine.
    """
    epochs = run.protocol.epochs - start_epoch
    return max(1, epochs * flop_per_sample(run) * train_count)
