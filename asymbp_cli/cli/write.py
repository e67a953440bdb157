"""Writing what a command produced."""

import os
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
    """Write a file, whole or not at all; raises UsageError where that fails."""
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, output)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(f"cannot write {output}: {error.strerror}; choose another file with --output") from error
