"""How a study is divided among machines that share nothing."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from asymbp_cli.recipe.grid import Grid
from asymbp_cli.scheduling.estimate import flop_left
from asymbp_cli.specs.runs import Run
from asymbp_cli.specs.shards import Mark, Shard


@dataclass(frozen=True)
class Part:
    """The runs of a study that are one of its shards."""

    mark: Mark
    runs: frozenset[str]
    total: int  # runs of the whole study

    @property
    def shard(self) -> Shard:
        """Return which one it is."""
        return self.mark.shard


def collect_runs(grids: Iterable[Grid]) -> dict[str, Run]:
    """Return every run of a study once, by id."""
    return {run_id: run for grid in grids for run_id, run in grid.all_runs().items()}


def identify_study(run_ids: Iterable[str]) -> str:
    """Return the id of a study: SHA-256 (first 16 hex digits) of the ids of its runs."""
    return hashlib.sha256(" ".join(sorted(run_ids)).encode()).hexdigest()[:16]


def identify_division(parts: Iterable[Iterable[str]]) -> str:
    """Return the id of a division: SHA-256 (first 8 hex digits) of the ids of the runs in each part.

    Versions that count the cost of a run otherwise, or stack runs otherwise, may divide a study otherwise.
    """
    return hashlib.sha256("/".join(" ".join(sorted(part)) for part in parts).encode()).hexdigest()[:8]


def take_part(grids: Sequence[Grid], train_counts: Mapping[str, int], shard: Shard) -> Part:
    """Return the part of a study that is a shard; `train_counts` holds training samples by dataset."""
    runs = collect_runs(grids)
    parts = divide(runs, train_counts, shard.count)
    mark = Mark(shard, identify_study(runs), identify_division(parts))
    return Part(mark, frozenset(parts[shard.number - 1]), len(runs))


def divide(runs: Mapping[str, Run], train_counts: Mapping[str, int], count: int) -> list[list[str]]:
    """Return the ids of the runs of each shard. They depend on the set of `runs` alone, not on its order.

    All runs stand in a line, stack after stack, and the line is cut into parts of equal cost. A run belongs to the
    part in which it begins. So no part costs more than the mean and one run, and a cut divides one stack at most.
    The order is one of costs and ids: fields that a later version adds to specs change neither.
    """
    costs = {run_id: flop_left(run, train_counts[run.dataset]) for run_id, run in runs.items()}
    keys = {run_id: run.stack_key for run_id, run in runs.items()}
    firsts: dict[str, str] = {}  # stack key -> the lowest id of its runs
    for run_id in sorted(runs):
        firsts.setdefault(keys[run_id], run_id)
    total, begin = sum(costs.values()), 0
    parts: list[list[str]] = [[] for _ in range(count)]
    for run_id in sorted(runs, key=lambda run_id: (-costs[run_id], firsts[keys[run_id]], run_id)):
        parts[begin * count // total].append(run_id)
        begin += costs[run_id]
    return parts
