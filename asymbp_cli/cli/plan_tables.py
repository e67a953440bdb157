"""What `asymbp plan` prints: tables within 80 columns, or one JSON object."""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from statistics import median
from typing import Any

import click

from asymbp_cli.cli.json_lines import make_line
from asymbp_cli.cli.plan import estimate_seconds, record_tables
from asymbp_cli.cli.plan_costs import Costs
from asymbp_cli.cli.progress import describe_execution, describe_seconds
from asymbp_cli.executors import ATTEMPTS
from asymbp_cli.recipe.labels import describe_network
from asymbp_cli.report.document import Listing
from asymbp_cli.report.text import head_tables
from asymbp_cli.scheduling.estimate import Forecast
from asymbp_cli.scheduling.stack_costs import StackCost
from asymbp_cli.specs.runs import step_kind
from asymbp_cli.text import count, format_duration

_HOUR = 3600
_GIB = 1 << 30
_STARTS = {
    "given": "as you say",
    "measured": "the median in these results",
    "assumed": "as is assumed; --start says otherwise",
}


def print_costs(costs: Costs, *, as_json: bool) -> None:
    """Print costs on standard output; before text the notices of the plan on standard error."""
    if as_json:
        click.echo(json.dumps(make_record(costs)))
        return
    from asymbp_cli.cli import console

    for notice in costs.plan.notices:
        click.echo(notice, err=True)
    console.print_listings(console.make_console(stderr=False), _list(costs))


def make_record(costs: Costs) -> dict[str, Any]:
    """Return all numbers; times are seconds, memory is bytes."""
    plan, steps = costs.plan, costs.steps
    epochs = {run: seconds for cost in costs.stacks for run, seconds in cost.epoch_seconds.items()}
    alone = Forecast(epochs, True, workers=1)
    works = [alone.seconds(work.remaining) for work in plan.works]
    tables = zip(record_tables(plan), works, strict=True)
    fields = {
        "tables": [record | {"worker_seconds": seconds} for record, seconds in tables],
        "runs": len(plan.whole.runs) + len(plan.whole.done),
        "to_train": len(plan.whole.runs),
        "device": steps.device,
        "workers": len(plan.execution.devices),
        "seconds": _estimate(costs),  # with these workers
        "worker_seconds": costs.seconds,
        "steps": {"model": steps.model, "origin": steps.origin, "bytes": steps.memory},
        "networks": list(_record_networks(costs)),
        "tasks": _record_tasks(costs),
        "schedule": _record_schedule(costs),
    }
    return make_line("costs", fields)


def _estimate(costs: Costs) -> float | None:
    """Return the estimate of a dry run, or the makespan if a schedule was played; None as `estimate_seconds`."""
    seconds = estimate_seconds(costs.plan, costs.plan.whole)
    return seconds if costs.schedule is None or seconds is None else round(costs.schedule.makespan, 1)


def _record_networks(costs: Costs) -> Iterator[dict[str, Any]]:
    """Yield what the stacks of each network cost."""
    describe, groups = cache(describe_network), dict[str, list[StackCost]]()
    for cost in costs.stacks:
        groups.setdefault(describe(cost.stack.runs[0].network), []).append(cost)
    for name, group in groups.items():
        yield {
            "network": name.removeprefix("network "),
            "runs": sum(len(cost.stack.runs) for cost in group),
            "stacks": len(group),
            "largest_stack": max(len(cost.stack.runs) for cost in group),
            "worker_seconds": sum(cost.seconds for cost in group),
            "bytes": max(cost.bytes for cost in group),
            "steps": _describe_steps(costs, group),
        }


def _describe_steps(costs: Costs, group: Sequence[StackCost]) -> str:
    """Return where the times of steps come from: measured, given, or by FLOP from those of others."""
    kinds = {step_kind(run) for cost in group for run in cost.stack.runs}
    if not all(map(costs.steps.knows, kinds)):
        return "by FLOP"
    return "measured" if costs.steps.origin == "measured" else "given"


def _record_tasks(costs: Costs) -> dict[str, Any] | None:
    """Return the request to a cluster in which each stack is a task; None if there is none."""
    if not costs.stacks:
        return None
    seconds = [cost.seconds for cost in costs.stacks]
    return {
        "tasks": len(seconds),
        "median_seconds": median(seconds),
        "longest_seconds": max(seconds),
        "bytes": max(cost.bytes for cost in costs.stacks),
    }


def _record_schedule(costs: Costs) -> dict[str, Any] | None:
    """Return how the schedule went; None if none was played."""
    schedule, cluster, price = costs.schedule, costs.question.cluster, costs.question.price
    if schedule is None or cluster is None:
        return None
    hours = schedule.held / _HOUR
    return {
        "nodes": cluster.nodes,
        "per_node": cluster.per_node,
        "makespan_seconds": schedule.makespan,
        "utilization": schedule.utilization,
        "worker_hours": hours,
        "failures": schedule.failures,
        "lost_seconds": schedule.lost,
        "starting_seconds": schedule.started,
        "start_seconds": costs.start.seconds,
        "start_origin": costs.start.origin,
        "starts_for_each": costs.question.are_jobs,
        "most_attempts": schedule.attempts,
        "cost": None if price is None else price * hours,
    }


def _list(costs: Costs) -> Iterator[Listing]:
    record = make_record(costs)
    yield _list_tables(costs, record)
    if record["tasks"]:
        yield _list_networks(costs, record)
        yield _list_tasks(record["tasks"])
    if record["schedule"]:
        yield _list_schedule(record["schedule"], "GPU" if costs.steps.device == "cuda" else "worker")


def _list_tables(costs: Costs, record: dict[str, Any]) -> Listing:
    records = [*record["tables"], record]
    names = [*head_tables(costs.plan.grids), "all together"]
    rows = [
        (name, f"{one['runs']:,}", f"{one['to_train']:,}", format_duration(one["worker_seconds"]))
        for name, one in zip(names, records, strict=True)
    ]
    notes = ["A run of several tables is trained once."] if len(records) > 2 else []
    if record["to_train"] and not record["schedule"] and record["seconds"] is not None:
        where = describe_execution(costs.plan.execution)
        notes.append(f"Together, {where}: {describe_seconds(record['seconds'])}.")
    header = ("table", "runs", "to train", "one worker")
    return Listing("Runs, and the time of one worker for them", header, tuple(rows), tuple(notes))


def _list_networks(costs: Costs, record: dict[str, Any]) -> Listing:
    rows = [
        (
            n["network"],
            f"{n['runs']:,}",
            f"{n['stacks']:,}",
            f"{n['largest_stack']}",
            f"{n['worker_seconds'] / _HOUR:,.2f}",
            f"{n['bytes'] / _GIB:.1f}",
            n["steps"],
        )
        for n in record["networks"]
    ]
    steps = costs.steps
    how = "measured here" if steps.origin == "measured" else f"given by {steps.origin}"
    notes = [f"Steps are {how}: {steps.model}."]
    if any(row[-1] == "by FLOP" for row in rows):
        notes.append("By FLOP: not measured; estimated to take as long for each FLOP as the nearest that was.")
    if steps.memory and (large := [n["network"] for n in record["networks"] if n["bytes"] > steps.memory]):
        notes.append(f"The device has {steps.memory / _GIB:.1f} GiB: too little for {', '.join(large)}.")
    header = ("network", "runs", "stacks", "of up to", "hours", "GiB", "steps")
    return Listing("Stacks, hours of all of them, and memory of one", header, tuple(rows), tuple(notes))


def _list_tasks(tasks: dict[str, Any]) -> Listing:
    row = (
        f"{tasks['tasks']:,}",
        format_duration(tasks["median_seconds"]),
        format_duration(tasks["longest_seconds"]),
        f"{tasks['bytes'] / _GIB:.1f}",
    )
    header = ("tasks", "median time", "longest", "GiB each")
    return Listing("To ask of a cluster, with a task for each stack", header, (row,))


def _list_schedule(schedule: dict[str, Any], worker: str) -> Listing:
    """Return the schedule in one row; what was not asked for is left out."""
    cells = {
        "start to end": format_duration(schedule["makespan_seconds"]),
        f"{worker} hours": f"{schedule['worker_hours']:,.1f}",
        "trains": f"{100 * schedule['utilization']:.0f} %",
    }
    if schedule["failures"]:
        cells |= {"failures": f"{schedule['failures']:,}", "lost": format_duration(schedule["lost_seconds"])}
    if schedule["cost"] is not None:
        cells["cost"] = f"{schedule['cost']:,.2f}"
    nodes, workers = count(schedule["nodes"], "node"), count(schedule["per_node"], worker)
    notes = [f"Every {worker} is held to the end, and trains for this share of the time."]
    each = "; for each stack, which is a job" if schedule["starts_for_each"] else ""
    start = f"{schedule['start_seconds']:.3g} s, {_STARTS[schedule['start_origin']]}"
    notes.append(f"A {worker} starts in {start}{each}.")
    if (attempts := schedule["most_attempts"]) > ATTEMPTS:
        notes.append(
            f"A stack takes {attempts} attempts. Training gives up after {ATTEMPTS}: allow --attempts {attempts}."
        )
    title = f"Simulated on {nodes} with {workers} each"
    return Listing(title, tuple(cells), (tuple(cells.values()),), tuple(notes))
