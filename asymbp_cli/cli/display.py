"""Displays of a running study: plain lines, or nothing. The live one is in live.py, JSON in json_lines.py."""

import time
from types import TracebackType

import click

from asymbp_cli.cli.progress import StudyProgress, format_duration
from asymbp_cli.events import EpochEnded, RunDiverged, RunFinished
from asymbp_cli.executors import StackFailed, StudyEvent, StudyWaits

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
