"""The live display in a terminal."""

import time
from types import TracebackType

from rich.live import Live

from asymbp_cli.cli import console
from asymbp_cli.cli.display import Display
from asymbp_cli.cli.progress import StudyProgress
from asymbp_cli.executors import StudyEvent


class LiveDisplay(Display):
    """Redraws progress and the best errors so far a few times a second."""

    _EVERY_SECONDS = 0.25

    def __init__(self, progress: StudyProgress) -> None:
        super().__init__(progress)
        self._console = console.make_console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._drawn = 0.0

    def say(self, text: str) -> None:
        """Print a line above the display."""
        self._console.print(text)

    def __enter__(self) -> "LiveDisplay":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def handle(self, event: StudyEvent) -> None:
        """Redraw, unless the last redraw was just now."""
        super().handle(event)
        now = time.monotonic()
        if now - self._drawn >= self._EVERY_SECONDS:
            self._drawn = now
            self._live.update(console.render_progress(self.progress), refresh=True)
