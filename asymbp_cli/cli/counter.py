"""How far a download or a decoding has come, on standard error."""

import sys
import time
from collections.abc import Callable

import click

_SECONDS = 10  # between lines where there is no terminal


def progress() -> Callable[[str, int, int], None]:
    """Return a function (what, done, total) that rewrites one line, or prints one now and then without a terminal.

    A total of 0 is not known.
    """
    last = {"": 0.0}

    def report(what: str, done: int, total: int) -> None:
        of = f" of {total:,}" if total else ""
        if sys.stderr.isatty():
            click.echo(f"\r{what}: {done:,}{of}" + ("\n" if done == total else ""), nl=False, err=True)
        elif done == total or time.monotonic() - last.setdefault(what, time.monotonic()) > _SECONDS:
            last[what] = time.monotonic()
            click.echo(f"{what}: {done:,}" + ("" if done == total else of), err=True)

    return report
