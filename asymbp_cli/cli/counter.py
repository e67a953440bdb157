"""The progress of a download or of decoding, on standard error."""

import sys
import time

import click

from asymbp_cli.cli.streams import SteeringStream, can_redraw
from asymbp_cli.events import OnProgress
from asymbp_cli.text import printable_path

_SECONDS = 10  # between lines if there is no terminal


def show_progress() -> OnProgress:
    """Return a callback that rewrites one line of the terminal; without one it prints a line now and then."""
    last: dict[str, float] = {}

    def show(what: str, done: int, total: int) -> None:
        is_done = 0 < total == done
        of = f" of {total:,}" if total else ""
        if can_redraw(sys.stderr):
            end = "\n" if is_done else ""
            SteeringStream(sys.stderr).write(f"\r{printable_path(what)}: {done:,}{of}{end}")
            sys.stderr.flush()
        elif is_done:
            click.echo(f"{what}: {done:,}", err=True)
        elif time.monotonic() - last.setdefault(what, time.monotonic()) > _SECONDS:
            last[what] = time.monotonic()
            click.echo(f"{what}: {done:,}{of}", err=True)

    return show
