"""Writing the output of a command."""

import sys
from errno import EBADF
from pathlib import Path

import click

from asymbp_cli.cli.streams import explain_unwritten, is_closed, use_utf8
from asymbp_cli.errors import UsageError
from asymbp_cli.files.paths import exists, is_file
from asymbp_cli.files.whole import replace, sweep
from asymbp_cli.results.files import is_linked, is_of_results
from asymbp_cli.text import printable_path

SCREEN = Path("-")  # standard output, which may be a pipe


def write_text(text: str, output: Path | None) -> None:
    """Write to a file, whole or not at all, or to standard output, in UTF-8; raises UsageError if that fails."""
    if output is None:
        use_utf8(sys.stdout)
        click.echo(text, nl=False)
        return
    write_bytes(text.encode(), output)
    click.echo(f"wrote {printable_path(output)}", err=True)


def is_replaceable(output: Path) -> bool:
    """Return whether a file can be put there; pipes and devices such as /dev/stdout can only be written to."""
    is_system_file = any(output.absolute().is_relative_to(root) for root in ("/dev", "/proc"))
    return not is_system_file and (is_file(output) or not exists(output))


def check_output(output: Path, results_directory: Path | None = None) -> None:
    """Raise UsageError if a file must not be written there, because it belongs to results or to a cache.

    Files of `results_directory` are known under other names too: by hard links.
    """
    from asymbp_cli.datasets.cache import is_of_cache

    try:
        target = output.resolve()
        of_cache = is_of_cache(target)
        of_store = is_of_results(target) or (
            results_directory is not None and is_linked(target, results_directory)
        )
    except (OSError, ValueError, RuntimeError):  # which writing will say
        return
    if of_store or of_cache:
        owner = "stored results" if of_store else "a decoded dataset"
        raise UsageError(f"{printable_path(output)} belongs to {owner}. Choose another file")


def write_bytes(content: bytes, output: Path) -> None:
    """Write a file, whole or not at all; a device or pipe is written to, not replaced. Raises UsageError."""
    check_output(output)
    try:
        if output == SCREEN:
            if is_closed(sys.stdout):
                raise OSError(EBADF, "it is closed")
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
            return
        if not is_replaceable(output):
            with output.open("ab") as file:  # /dev/stdout may be a file with content
                file.write(content)
            return
        target = output.resolve()  # of a symbolic link
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target)
        replace(target, content)
    except (OSError, ValueError, RuntimeError) as error:  # a null character; links in a circle
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = "a file has the name of its folder"
        place = "standard output" if output == SCREEN else output
        raise UsageError(explain_unwritten(place, reason, error)) from error
