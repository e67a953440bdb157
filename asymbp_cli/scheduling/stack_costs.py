"""What stacks cost: seconds by the times of their steps, and bytes of the device."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.machine import PROCESS_BYTES
from asymbp_cli.scheduling.estimate import samples_per_epoch
from asymbp_cli.scheduling.memory import stack_bytes
from asymbp_cli.scheduling.replica_limit import SHARES, dataset_bytes
from asymbp_cli.scheduling.step_times import StepTimes
from asymbp_cli.specs.runs import Run, Stack, step_kind


@dataclass(frozen=True)
class StackCost:
    """The seconds of an epoch of each run of a stack, and the memory that training it asks of a device."""

    stack: Stack
    epoch_seconds: Mapping[str, float]  # by run; those of a stack add up
    bytes: int

    @property
    def seconds(self) -> float:
        """Return the seconds of the whole stack."""
        epochs = self.stack.runs[0].protocol.epochs - self.stack.start_epoch
        return epochs * sum(self.epoch_seconds.values())


def cost_stacks(
    stacks: Iterable[Stack], infos: Mapping[str, DecodedDataset], steps: StepTimes
) -> Iterator[StackCost]:
    """Yield the cost of each stack; `infos` by fingerprint."""
    step_seconds = cache(steps.stack_seconds)

    def share(run: Run, replicas: int, info: DecodedDataset) -> float:
        """Return a run's share of an epoch of its stack."""
        kind = step_kind(run)
        step = step_seconds(kind, replicas) / replicas
        size = kind.batch_size if steps.device == "cpu" else min(kind.batch_size, info.train_count)
        return samples_per_epoch(run, info) * step / size

    for stack in stacks:
        info = infos[stack.runs[0].dataset]
        seconds = {run.id: share(run, len(stack.runs), info) for run in stack.runs}
        yield StackCost(stack, seconds, _bytes(stack, info, steps.device))


def _bytes(stack: Stack, info: DecodedDataset, device: str) -> int:
    """Return the memory to ask for: what is counted, and room for what is not."""
    parallel = device == "cuda"
    methods = {run.method: run for run in stack.runs}
    counted = max(stack_bytes(run, len(stack.runs), parallel=parallel) for run in methods.values())
    beside = dataset_bytes(info) if parallel else PROCESS_BYTES
    return beside + int(counted / SHARES[device])
