"""The live display in a terminal."""

import time
from types import TracebackType

from rich.live import Live

from asymbp_cli.cli import console
from asymbp_cli.cli.display import Display
from asymbp_cli.cli.progress import Board
from asymbp_cli.executors import StudyEvent


class LiveDisplay(Display):
    """Redraws progress and the best errors so far a few times a second."""

    _EVERY_SECONDS = 0.25

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self._console = console.make(stderr=True)
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

    def take(self, event: StudyEvent) -> None:
        """Redraw, unless that was done just now."""
        super().take(event)
        now = time.monotonic()
        if now - self._drawn >= self._EVERY_SECONDS:
            self._drawn = now
            self._live.update(console.live(self.board), refresh=True)
