"""Retrying jobs: from their last checkpoints, and in smaller stacks or without CUDA graphs if that may help."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from asymbp_cli.executors import Job
from asymbp_cli.specs.runs import Run, Stack, StepKind, step_kind
from asymbp_cli.training.resume import saved_epochs

#: what the next attempt at a job does differently
SMALLER, PLAINLY, AGAIN = "in smaller stacks", "without CUDA graphs", "once more"


def continued(job: Job, runs: Mapping[str, Run]) -> list[Job]:
    """Return what remains of a job: one stack per epoch that its runs were last saved after."""
    saved = saved_epochs(job.checkpoints, runs)
    return [
        replace(job, stack=Stack(tuple(run for run in runs.values() if saved[run.id] == epoch), epoch))
        for epoch in sorted(set(saved.values()))
    ]


class Fitting:
    """What failures have shown: how many runs of a kind fit into memory together, and which cannot be captured."""

    def __init__(self) -> None:
        self._most: dict[StepKind, int] = {}
        self._plain: set[StepKind] = set()

    def too_large(self, job: Job) -> bool:
        """Note that a job's stack did not fit; return whether a smaller one is possible."""
        count, kind = len(job.stack.runs), step_kind(job.stack.runs[0])
        self._most[kind] = min(max(1, count // 2), self._most.get(kind, count))
        return count > 1

    def uncapturable(self, job: Job) -> bool:
        """Note that no graph of a job could be captured; return whether it can be trained without."""
        self._plain.add(step_kind(job.stack.runs[0]))
        return job.graphs

    def pieces(self, job: Job) -> list[Job]:
        """Return the job in equal stacks that are not known to be too large, with graphs unless those failed."""
        runs, kind = job.stack.runs, step_kind(job.stack.runs[0])
        job = replace(job, graphs=job.graphs and kind not in self._plain)
        most = self._most.get(kind)
        if most is None or len(runs) <= most:
            return [job]
        count = -(-len(runs) // most)
        edges = [len(runs) * k // count for k in range(count + 1)]
        parts = (runs[start:end] for start, end in pairwise(edges))
        return [replace(job, stack=Stack(part, job.stack.start_epoch)) for part in parts]
