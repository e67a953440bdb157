"""What `--json` prints after commands that train: a JSON object on each line, as `results/README.md` says."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from asymbp_cli.cli.display import Display
from asymbp_cli.cli.progress import StudyProgress
from asymbp_cli.executors import StudyEvent
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.labels import find_first_headers, name_datasets
from asymbp_cli.report.records import make_event_record
from asymbp_cli.specs.methods import method_name
from asymbp_cli.specs.runs import Run


def make_line(event: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event as one object: its kind, then its fields.

    `event` is the older spelling of the kind, which differed: `plan`, but `EpochEnded`.
    """
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", event).lower()
    return {"event": event, "kind": kind, **fields}


def print_line(line: Mapping[str, Any]) -> None:
    """Print an event on standard output, with the time."""
    click.echo(json.dumps({**line, "time": round(time.time(), 3)}))


class JsonLines(Display):
    """One JSON object per event on standard output."""

    def __init__(self, progress: StudyProgress) -> None:
        super().__init__(progress)
        self._names = name_runs(progress.grids, progress.runs)

    def announce(self, text: str) -> None:
        """Print the plan."""
        progress, seconds = self.progress, self.progress.estimate_seconds
        rounded = None if seconds is None else round(seconds, 1)
        print_line(make_plan_event(progress.grids, progress.runs, progress.remaining, rounded))

    def handle(self, event: StudyEvent) -> None:
        """Print the event; a loss that is no finite number is null."""
        super().handle(event)
        names = self._names.get(getattr(event, "run", ""), {})
        print_line(make_line(type(event).__name__, make_event_record(event) | names))


def name_runs(grids: Sequence[Grid], runs: Mapping[str, Run]) -> dict[str, dict[str, str]]:
    """Return the names of each run's method, and of its dataset and column as in tables."""
    datasets, headers = name_datasets(row for grid in grids for row in grid.rows), find_first_headers(grids)
    return {
        run_id: {
            "method": method_name(run.method),
            "dataset_name": datasets.get((run.dataset, run.network), ""),
            "column": headers.get(run_id, ""),
        }
        for run_id, run in runs.items()
    }


def make_plan_event(
    grids: Sequence[Grid], runs: Mapping[str, Run], remaining: Mapping[str, int], seconds: float | None
) -> dict[str, Any]:
    """Return the planned runs as the first line of --json; `seconds` is the estimate, if there is one."""
    names = name_runs(grids, runs)
    listed = [
        {
            "run": run_id,
            "method": names[run_id]["method"],
            "dataset": run.dataset,
            "rate_multiplier": run.rate_multiplier,
            "seed": run.seed,
            "epochs": remaining[run_id],
            "dataset_name": names[run_id]["dataset_name"],
            "column": names[run_id]["column"],
        }
        for run_id, run in runs.items()
    ]
    return make_line("plan", {"seconds": seconds, "runs": listed})
