"""The live display in a terminal."""

import sys
from types import TracebackType

from rich.live import Live

from asymbp_cli.cli.console import make_console, print_text
from asymbp_cli.cli.display import Display
from asymbp_cli.cli.live_view import render_progress
from asymbp_cli.cli.progress import StudyProgress
from asymbp_cli.cli.streams import measure_terminal


class LiveDisplay(Display):
    """Redraws progress and the best errors so far a few times a second."""

    tick_seconds = 0.25

    def __init__(self, progress: StudyProgress) -> None:
        super().__init__(progress)
        self._stream = sys.stderr
        self._console = make_console(stderr=True)
        self._said: list[str] = []
        self._widest = 0  # line that is drawn
        self._live = self._make_live()

    def _make_live(self) -> Live:
        return Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)

    def say(self, text: str) -> None:
        """Print a text above the display."""
        self._said.append(text)
        print_text(self._console, text)

    def __enter__(self) -> Display:
        if self.progress.remaining:
            self._live.start()
            self.tick()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._live.stop()

    def tick(self) -> None:
        """Draw how far the study is, in the terminal's present size."""
        width, height = measure_terminal(self._stream)
        if width < self._widest:
            self._clear()
        self._console.size = (width, height)
        with self.lock:
            drawn = render_progress(self.progress, width - 1, height - 1)
        self._widest = max(line.cell_len for line in drawn.split("\n"))
        self._live.update(drawn, refresh=True)

    def _clear(self) -> None:
        """Clear the screen: a terminal that got narrower has broken the lines drawn before, in ways of its own."""
        self._live.stop()
        self._console.clear()
        for text in self._said:
            print_text(self._console, text)
        self._live = self._make_live()
        self._live.start()
