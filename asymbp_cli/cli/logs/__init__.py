"""Logs of a running study for other programs. A further one is a file, and a line in `LOGS`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from asymbp_cli.text import printable_path

if TYPE_CHECKING:
    from asymbp_cli.cli.display import Display
    from asymbp_cli.executors import StudyEvent

#: name, as in --log NAME=DIR -> file in this folder with `check_package` and `open_log`, imported when it is used
LOGS = {"tensorboard": "tensorboard"}


class Log(Protocol):
    """Is told of all events of a study, in the process of the command."""

    def handle(self, event: "StudyEvent") -> None:
        """Write what an event says. Raises OSError."""

    def close(self) -> None:
        """Write what is left. Raises OSError."""


#: makes a log in a directory; runs have the names that the function returns
OpenLog = Callable[[Path, Callable[[str], str]], Log]


def load_logs(wanted: Sequence[tuple[str, Path]]) -> list[tuple[Path, OpenLog]]:
    """Return directory and opener of each log; raises UsageError if its package is not installed."""
    found = []
    for name, directory in wanted:
        module = import_module(f"asymbp_cli.cli.logs.{LOGS[name]}")
        module.check_package()
        found.append((directory, module.open_log))
    return found


@contextmanager
def observe(display: "Display", logs: Sequence[tuple[Path, OpenLog]]) -> "Iterator[Callable[[StudyEvent], None]]":
    """Yield what tells the display and the logs of an event. A log that cannot be written does not end a study."""
    name_run = display.progress.describe_run
    with ExitStack() as stack:
        handlers = [stack.enter_context(_tolerate(display, open_log(path, name_run))) for path, open_log in logs]

        def handle(event: "StudyEvent") -> None:
            display.handle(event)
            for tell in handlers:
                tell(event)

        yield handle


@contextmanager
def _tolerate(display: "Display", log: Log) -> "Iterator[Callable[[StudyEvent], None]]":
    """Yield what tells a log of an event, until it cannot be written any more, which is said once."""
    broken = False

    def attempt(act: Callable[[], None]) -> None:
        nonlocal broken
        try:
            if not broken:
                act()
        except OSError as error:
            broken = True
            reason = printable_path(error.strerror or str(error))
            display.say(f"a log is not written any more: {reason}. Training continues, and results are stored")

    try:
        yield lambda event: attempt(lambda: log.handle(event))
    finally:
        attempt(log.close)
