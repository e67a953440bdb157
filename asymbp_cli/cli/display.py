"""Displays of a running study: plain lines, or nothing. The live one is in live.py, JSON in json_lines.py."""

import threading
from types import TracebackType

import click

from asymbp_cli.cli.progress import StudyProgress
from asymbp_cli.events import EpochEnded, RunDiverged, RunFinished, WorkerFound
from asymbp_cli.executors import StackFailed, StudyEvent, StudyWaits
from asymbp_cli.text import count, format_duration, list_some

_LEAVING_SECONDS = 1.0  # that the end of a display waits for its last tick
SAFE_TO_STOP = "Ctrl-C loses no more than the current epoch. Rerun the command to resume"


class Display:
    """Shows nothing; the base class of the others. Use it as a context around the study.

    One that ticks is drawn anew every so many seconds, by a thread of its own: whatever the study waits for, time
    is seen to pass, and no training waits for a terminal.
    """

    #: seconds between ticks; None: it shows nothing but events
    tick_seconds: float | None = None

    def __init__(self, progress: StudyProgress) -> None:
        self.progress = progress
        self.lock = threading.Lock()  # held while the progress is read or changed
        self._noted = set[str]()
        self._ended = threading.Event()
        self._ticking: threading.Thread | None = None

    def __enter__(self) -> "Display":
        if self.tick_seconds is not None and self.progress.remaining:
            self._ticking = threading.Thread(target=self._tick_on, args=(self.tick_seconds,), daemon=True)
            self._ticking.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._ticking is not None:
            self._ticking.join(_LEAVING_SECONDS)  # a terminal that is stopped would keep it

    def _tick_on(self, seconds: float) -> None:
        while not self._ended.wait(seconds):
            self.tick()

    def tick(self) -> None:
        """Show how far the study is."""

    def announce(self, text: str) -> None:
        """Announce the work, before the start."""
        self.say(text)

    def say(self, text: str) -> None:
        """Show a line of text."""

    def handle(self, event: StudyEvent) -> None:
        """Count an event. Report a retry, a worker's note, and the time left once the first epochs tell it."""
        is_unknown = self.progress.eta_seconds is None
        with self.lock:
            self.progress.handle(event)
        if isinstance(event, StackFailed) and event.remedy:
            verb = "continues" if len(event.runs) == 1 else "continue"
            self.say(f"{event.message}: {count(len(event.runs), 'run')} {verb} {event.remedy}")
        if isinstance(event, StudyWaits):
            self.say(event.message)
        if isinstance(event, WorkerFound) and event.note and event.note not in self._noted:
            self._noted.add(event.note)
            self.say(event.note)
        if isinstance(event, EpochEnded) and is_unknown and (seconds := self.progress.eta_seconds) is not None:
            self.say(f"about {format_duration(seconds)} left, by the first epochs. {SAFE_TO_STOP}")


class PlainLines(Display):
    """One line per finished run, and one every half minute: for logs, pipes and terminals that cannot redraw."""

    tick_seconds = 30.0

    def say(self, text: str) -> None:
        """Print a line."""
        click.echo(text, err=True)

    def __enter__(self) -> "Display":
        if self.progress.remaining and self.progress.waiting:
            self.say(self.progress.waiting)
        return super().__enter__()

    def handle(self, event: StudyEvent) -> None:
        """Print a line if the event is worth one."""
        super().handle(event)
        progress = self.progress
        if isinstance(event, RunDiverged):
            self.say(f"{progress.describe_run(event.run)}: diverged in epoch {event.epoch}")
        elif isinstance(event, RunFinished):
            best = progress.best.get(event.run)
            word = "selected" if best and best.validation_seen else "best"
            error = f", {word} {best.test_percent:.2f} % (epoch {best.epoch})" if best else ""
            number = f"[{progress.ended}/{len(progress.remaining)}]"
            run = f"{number} {progress.describe_run(event.run)}: {event.state}{error}"
            self.say(f"{run}; {describe_time(progress)}")

    def tick(self) -> None:
        """Print a line: how much is done, and what trains."""
        with self.lock:
            now = self.progress.waiting or list_some(self.progress.describe_stacks())
            share = f"{100 * self.progress.share:.0f} % done"
            parts = [share, now, describe_time(self.progress)]
        self.say("; ".join(filter(None, parts)))


def describe_time(progress: StudyProgress) -> str:
    """Return the time that a study has taken, and takes: `40 s elapsed, 2 min left`.

    How long workers take to start, perhaps in a queue, is not known: until then the time left is that after it.
    """
    then = "then " if progress.waiting and progress.eta_seconds is not None else ""
    return f"{format_duration(progress.seconds)} elapsed, {then}{progress.remaining_time}"
