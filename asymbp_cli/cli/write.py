"""Writing what a command produced."""

import os
from contextlib import suppress
from pathlib import Path

import click

from asymbp_cli.errors import UsageError


def write_text(text: str, output: Path | None) -> None:
    """Write to a file, whole or not at all, or to standard output; raises UsageError where that fails."""
    if output is None:
        click.echo(text, nl=False)
        return
    write_bytes(text.encode(), output)
    click.echo(f"wrote {output}", err=True)


def write_bytes(content: bytes, output: Path) -> None:
    """Write a file, whole or not at all; a device or pipe is written to, not replaced. Raises UsageError."""
    try:
        if output.exists() and not output.is_file():
            output.write_bytes(content)
            return
        target = output.resolve()  # of a symbolic link
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, content)
    except (OSError, ValueError, RuntimeError) as error:  # a null character; links in a circle
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = "a file stands where its folder should be"
        raise UsageError(f"cannot write {output}: {reason}; choose another file with --output") from error


def _replace(target: Path, content: bytes) -> None:
    temporary = target.with_name(f".asymbp-{os.getpid()}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
