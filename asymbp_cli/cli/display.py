"""Displays of a running study: plain lines, JSON lines, or nothing. The live one is in live.py."""

import json
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import click

from asymbp_cli.cli.progress import StudyProgress, format_duration
from asymbp_cli.events import EpochEnded, RunDiverged, RunFinished
from asymbp_cli.executors import StackFailed, StudyEvent, StudyWaits
from asymbp_cli.report.records import make_event_record
from asymbp_cli.specs.methods import method_name
from asymbp_cli.specs.runs import Run

SAFE_TO_STOP = "Ctrl-C loses no more than the current epoch. Rerun the command to resume"


class Display:
    """Shows nothing; the base class of the others. Use it as a context around the study."""

    def __init__(self, progress: StudyProgress) -> None:
        self.progress = progress

    def __enter__(self) -> "Display":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def announce(self, text: str) -> None:
        """Announce the work, before the start."""
        self.say(text)

    def say(self, text: str) -> None:
        """Show a line of text."""

    def handle(self, event: StudyEvent) -> None:
        """Count an event. Report a retry, and the remaining time once the first epochs tell it."""
        is_unknown = self.progress.eta_seconds is None
        self.progress.handle(event)
        if isinstance(event, StackFailed) and event.remedy:
            self.say(f"{event.message}: {len(event.runs)} runs continue {event.remedy}")
        if isinstance(event, StudyWaits):
            self.say(event.message)
        if isinstance(event, EpochEnded) and is_unknown and (seconds := self.progress.eta_seconds) is not None:
            self.say(f"about {format_duration(seconds)} to go, by the first epochs. {SAFE_TO_STOP}")


class JsonLines(Display):
    """One JSON object per event on standard output."""

    def announce(self, text: str) -> None:
        """Print the plan."""
        seconds = self.progress.estimate_seconds
        rounded = None if seconds is None else round(seconds, 1)
        self._print(make_plan_event(self.progress.runs, self.progress.remaining, rounded))

    def handle(self, event: StudyEvent) -> None:
        """Print the event; a loss that is no finite number is null."""
        super().handle(event)
        self._print({"event": type(event).__name__, **make_event_record(event)})

    def _print(self, content: dict[str, Any]) -> None:
        click.echo(json.dumps(content))


def make_plan_event(
    runs: Mapping[str, Run], remaining: Mapping[str, int], seconds: float | None
) -> dict[str, Any]:
    """Return the planned runs as the first line of --json; `seconds` is the estimate, if there is one."""
    listed = [
        {
            "run": run_id,
            "method": method_name(run.method),
            "dataset": run.dataset,
            "rate_multiplier": run.rate_multiplier,
            "seed": run.seed,
            "epochs": remaining[run_id],
        }
        for run_id, run in runs.items()
    ]
    return {"event": "plan", "seconds": seconds, "runs": listed}


class PlainLines(Display):
    """One line per finished run, and one every half minute: for logs and pipes."""

    _EVERY_SECONDS = 30.0

    def __init__(self, progress: StudyProgress) -> None:
        super().__init__(progress)
        self._last_line = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line."""
        click.echo(text, err=True)

    def handle(self, event: StudyEvent) -> None:
        """Print a line if the event is worth one."""
        super().handle(event)
        progress = self.progress
        if isinstance(event, RunDiverged):
            self.say(f"{progress.describe_run(event.run)}: diverged in epoch {event.epoch}")
        elif isinstance(event, RunFinished):
            self._last_line = time.monotonic()
            best = progress.best.get(event.run)
            error = f"best {100 * best.test_wrong / best.test_seen:.2f} % (epoch {best.epoch})" if best else ""
            count = f"[{progress.ended}/{len(progress.remaining)}]"
            self.say(
                f"{count} {progress.describe_run(event.run)}: {event.state}, {error}; {progress.remaining_time}"
            )
        elif isinstance(event, EpochEnded) and time.monotonic() - self._last_line > self._EVERY_SECONDS:
            self._last_line = time.monotonic()
            epochs = progress.runs[event.run].protocol.epochs
            now = f"{progress.describe_run(event.run)} at epoch {event.epoch}/{epochs}"
            self.say(f"{100 * progress.share:.0f} % of the work, {now}; {progress.remaining_time}")
