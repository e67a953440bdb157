"""Which runs train together, and in which order."""

from collections.abc import Callable, Iterable, Mapping

from asymbp_cli.scheduling.estimate import flop_left
from asymbp_cli.specs.runs import Run, Stack


def plan_stacks(
    runs: Iterable[Run],
    saved_epochs: Mapping[str, int],
    train_counts: Mapping[str, int],
    *,
    max_replicas: Callable[[Run], int],
    workers: int,
) -> list[Stack]:
    """Return the stacks that train `runs`, the most expensive runs first. The packing changes no result.

    Runs of a stack share their `stack_key` and the epoch they continue from; equal schemes and update rules are
    adjacent. A stack holds at most `max_replicas` of each of its runs, and at most a worker's share of
    the work that is left when it is taken, so that stacks shrink to single runs and all workers end together
    (guided self-scheduling, Polychronopoulos and Kuck 1987). `train_counts` holds training samples by dataset.
    """
    groups: dict[tuple[str, int], list[Run]] = {}
    for run in sorted(runs, key=side_by_side):
        groups.setdefault((run.stack_key, saved_epochs.get(run.id, 0)), []).append(run)
    costs = {key: flop_left(group[0], train_counts[group[0].dataset], key[1]) for key, group in groups.items()}
    left = sum(costs[key] * len(group) for key, group in groups.items())
    found = []
    for key in sorted(groups, key=lambda key: (-costs[key], groups[key][0].dataset, key)):
        group = groups[key]
        most = min(map(max_replicas, {run.method: run for run in group}.values()))
        while group:
            size = max(1, min(most, left // (workers * costs[key])))
            found.append(Stack(tuple(group[:size]), key[1]))
            left -= costs[key] * len(group[:size])
            group = group[size:]
    return found


def side_by_side(run: Run) -> tuple[str, str, float, str]:
    """Return the sorting key of runs, by which equal schemes and update rules are adjacent."""
    return run.method.feedback.model_dump_json(), run.method.update, -run.rate_multiplier, run.id
