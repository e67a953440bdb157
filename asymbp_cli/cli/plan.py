"""What `--dry-run` prints: the runs of each table, networks and time. Nothing is decoded or downloaded."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from asymbp_cli import study
from asymbp_cli.api.notices import explain_changed_plugins, explain_channels, explain_missing_weights
from asymbp_cli.cli.json_lines import make_plan_event
from asymbp_cli.cli.progress import describe_execution, describe_seconds
from asymbp_cli.cli.waiting import say
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.files.paths import FILE_NAME, exists
from asymbp_cli.recipe.grid import Grid, GridRow
from asymbp_cli.recipe.labels import describe_network
from asymbp_cli.report.text import head_tables
from asymbp_cli.results.store import Store
from asymbp_cli.scheduling.estimate import Forecast
from asymbp_cli.scheduling.shards import Part
from asymbp_cli.specs.modules import WhichWeights
from asymbp_cli.specs.runs import Run, StepKind
from asymbp_cli.study import Execution, Work
from asymbp_cli.text import count


@dataclass(frozen=True)
class Plan:
    """Tables, the runs that each of them and all together still need, and what is known of their time.

    A dataset without a directory is not decoded.
    """

    grids: Sequence[Grid]
    works: Sequence[Work]  # of each table
    whole: Work
    infos: Mapping[str, DecodedDataset]  # by fingerprint
    execution: Execution
    forecast: Forecast
    part: Part | None  # None: all of the study
    notices: Sequence[str]  # what a study of these runs would say before it trains


def make_plan(
    grids: Sequence[Grid],
    infos: Iterable[DecodedDataset],
    results: Path,
    execution: Execution,
    part: Part | None = None,
) -> Plan:
    """Return the plan of a study; its steps are timed on random data."""
    by_fingerprint = {info.fingerprint: info for info in infos}
    works, whole, notices = plan_works(grids, by_fingerprint.values(), results, part, execution.keep_weights)
    forecast = study.forecast(whole, by_fingerprint, execution, measure=_time_steps)
    return Plan(grids, works, whole, by_fingerprint, execution, forecast, part, notices)


def plan_works(
    grids: Sequence[Grid],
    infos: Iterable[DecodedDataset],
    results: Path,
    part: Part | None = None,
    keep: WhichWeights | None = None,
) -> tuple[list[Work], Work, list[str]]:
    """Return the runs of a part, or of all, that each table still needs, those of all together, and notices."""
    with Store.open(results, create=False, on_wait=say) if exists(results / FILE_NAME) else nullcontext() as store:
        works = [study.plan_work([grid], store, part) for grid in grids]
        whole = study.plan_work(grids, store, part)
        notices = explain_channels(infos) if whole.runs else []
        if store is not None:
            notices += explain_changed_plugins(whole.runs.values(), store)
            notices += explain_missing_weights(grids, store, keep)
        return works, whole, notices


def _time_steps(runs: Iterable[Run], device: str) -> Mapping[StepKind, float]:
    from asymbp_cli.bench.rehearsal import time_steps

    return time_steps(runs, device)


def print_plan(plan: Plan, *, as_json: bool) -> None:
    """Print a plan on standard output, as text or as one line of JSON.

    Before text the notices go to standard error.
    """
    if as_json:
        click.echo(json.dumps(_make_event(plan)))
        return
    from asymbp_cli.cli import console

    for notice in plan.notices:
        click.echo(notice, err=True)
    out = console.make_console(stderr=False)
    for line in _describe_plan(plan):
        console.print_text(out, line)


def _describe_plan(plan: Plan) -> Iterator[str]:
    for name, grid, work in zip(head_tables(plan.grids), plan.grids, plan.works, strict=True):
        yield f"{name}: {_describe_table(plan, grid, work)}"
    for fingerprint, info in plan.infos.items():
        if not info.directory:
            runs = count(sum(run.dataset == fingerprint for run in plan.whole.runs.values()), "run")
            yield f"{info.label} is not decoded: all {runs} counted as missing"
    if plan.part:
        yield describe_part(plan.part)
        if any(not info.directory for info in plan.infos.values()):
            yield "which runs these are is known once all datasets are decoded"
    work = plan.whole
    text = f"to train: {len(work.runs):,} of {count(len(work.runs) + len(work.done), 'run')}"
    if work.runs:
        text += f" {describe_execution(plan.execution)}, {_describe_time(plan, work)}"
    yield text


def describe_part(part: Part) -> str:
    """Return which shard it is, and how many runs it has."""
    shard = part.shard
    return f"shard {shard.number} of {shard.count}: {len(part.runs):,} of the study's {count(part.total, 'run')}"


def _describe_table(plan: Plan, grid: Grid, work: Work) -> str:
    available = ", ".join(_describe_row(row) for row in grid.rows if row.dataset is not None)
    missing = ", ".join(row.label for row in grid.rows if row.dataset is None)
    text = (
        f"{count(len(grid.columns), 'column')} on {available}, protocol {grid.protocol_label}, "
        f"{_describe_seeds(grid.seeds)}: {count(len(work.runs) + len(work.done), 'run')}"
    )
    if work.done:
        text += f", {len(work.runs):,} to train"
    if work.runs:
        text += f", {_describe_time(plan, work)}"
    return f"{text}; not available: {missing}" if missing else text


def _describe_seeds(seeds: Sequence[int]) -> str:
    """Return `seed 0` or `5 seeds`: whoever writes `seed: 5` for five of them sees it."""
    return f"seed {seeds[0]}" if len(seeds) == 1 else count(len(seeds), "seed")


def _describe_row(row: GridRow) -> str:
    return f"{row.label} ({describe_network(row.network)})" if row.network else row.label


def _describe_time(plan: Plan, work: Work) -> str:
    return describe_seconds(plan.forecast.seconds(work.remaining))


def _make_event(plan: Plan) -> dict[str, Any]:
    """Return the plan event; runs on datasets that are not decoded have no id yet."""
    seconds = estimate_seconds(plan, plan.whole)
    event = make_plan_event(plan.grids, plan.whole.runs, plan.whole.remaining, seconds)
    for run in event["runs"]:
        if not plan.infos[run["dataset"]].directory:
            run |= {"run": None, "dataset": None}
    return event | {"tables": record_tables(plan)}


def record_tables(plan: Plan) -> list[dict[str, Any]]:
    """Return the plan of each table."""
    return [_table_record(plan, grid, work) for grid, work in zip(plan.grids, plan.works, strict=True)]


def estimate_seconds(plan: Plan, work: Work) -> float | None:
    """Return the estimate in seconds; None if steps are not timed."""
    seconds = plan.forecast.seconds(work.remaining)
    return None if seconds is None else round(seconds, 1)


def _table_record(plan: Plan, grid: Grid, work: Work) -> dict[str, Any]:
    rows = [
        {
            "dataset": row.label,
            "network": describe_network(row.network) if row.network else None,
            "available": row.dataset is not None,
            "decoded": row.dataset is not None and bool(plan.infos[row.dataset].directory),
        }
        for row in grid.rows
    ]
    return {
        "table": grid.key,
        "title": grid.title,
        "protocol": grid.protocol_label,
        "columns": len(grid.columns),
        "rows": rows,
        "runs": len(work.runs) + len(work.done),
        "to_train": len(work.runs),
        "seconds": estimate_seconds(plan, work),
    }
