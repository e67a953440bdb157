"""How a running study shows itself: live, as plain lines, as JSON, or not at all."""

import json
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from types import TracebackType
from typing import Any

import click

from asymbp_cli.cli.progress import Board, duration
from asymbp_cli.events import EpochEnded, RunDiverged, RunFinished
from asymbp_cli.executors import StackFailed, StudyEvent
from asymbp_cli.specs.methods import method_name
from asymbp_cli.specs.runs import Run

SAFE_TO_STOP = "Ctrl-C loses at most a minute or the current epoch; rerun the command to resume"
_NOT_IN_JSON = (math.inf, -math.inf)


class Display:
    """Shows nothing; the base of the others. Use as a context around the study."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def __enter__(self) -> "Display":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def announce(self, text: str) -> None:
        """Say what will be done, before the start."""
        self.say(text)

    def say(self, text: str) -> None:
        """Say something."""

    def take(self, event: StudyEvent) -> None:
        """Take note of an event, and say what only now is known."""
        first = self.board.estimate_seconds is None and not self.board.work_done
        self.board.take(event)
        if isinstance(event, StackFailed) and event.remedy:
            self.say(f"{event.message}: {len(event.runs)} runs continue {event.remedy}")
        if first and self.board.work_done and (seconds := self.board.eta_seconds) is not None:
            self.say(f"about {duration(seconds)} to go, by the first epoch. {SAFE_TO_STOP}")


class JsonLines(Display):
    """One JSON object per event on standard output."""

    def announce(self, text: str) -> None:
        """Print the plan."""
        seconds = self.board.estimate_seconds
        rounded = None if seconds is None else round(seconds, 1)
        self._print(plan_event(self.board.runs, self.board.remaining, rounded))

    def take(self, event: StudyEvent) -> None:
        """Print the event; a loss that is no finite number is null."""
        super().take(event)
        named = asdict(event).items()
        content = {name: None if value in _NOT_IN_JSON or value != value else value for name, value in named}
        self._print({"event": type(event).__name__, **content})

    def _print(self, content: dict[str, Any]) -> None:
        click.echo(json.dumps(content))


def plan_event(runs: Mapping[str, Run], remaining: Mapping[str, int], seconds: float | None) -> dict[str, Any]:
    """Return what is to be trained as the first line of --json; `seconds` is the estimate, if one was made."""
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
    """A line per finished run, and one every half minute: for logs and pipes."""

    _EVERY_SECONDS = 30.0

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self._said = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line."""
        click.echo(text, err=True)

    def take(self, event: StudyEvent) -> None:
        """Print a line where there is something to say."""
        super().take(event)
        board = self.board
        if isinstance(event, RunDiverged):
            self.say(f"{board.label(event.run)}: diverged in epoch {event.epoch}")
        elif isinstance(event, RunFinished):
            self._said = time.monotonic()
            best = board.best.get(event.run)
            error = f"best {100 * best.test_wrong / best.test_seen:.2f} % (epoch {best.epoch})" if best else ""
            count = f"[{board.ended}/{len(board.remaining)}]"
            self.say(f"{count} {board.label(event.run)}: {event.state}, {error}; {board.to_go}")
        elif isinstance(event, EpochEnded) and time.monotonic() - self._said > self._EVERY_SECONDS:
            self._said = time.monotonic()
            wanted = board.runs[event.run].protocol.epochs
            now = f"{board.label(event.run)} at epoch {event.epoch}/{wanted}"
            self.say(f"{100 * board.share:.0f} % of the work, {now}; {board.to_go}")


def display_for(board: Board, *, quiet: bool, as_json: bool) -> Display:
    """Return the display that fits the options and the terminal."""
    if as_json:
        return JsonLines(board)
    if quiet:
        return Display(board)
    if not sys.stderr.isatty():
        return PlainLines(board)
    from asymbp_cli.cli.live import LiveDisplay

    return LiveDisplay(board)
