"""Writing the output of a command."""

from pathlib import Path

import click

from asymbp_cli.errors import UsageError
from asymbp_cli.files import replace
from asymbp_cli.paths import FILE_NAME, exists, is_file
from asymbp_cli.text import printable_path


def write_text(text: str, output: Path | None) -> None:
    """Write to a file, whole or not at all, or to standard output; raises UsageError if that fails."""
    if output is None:
        click.echo(text, nl=False)
        return
    write_bytes(text.encode(), output)
    click.echo(f"wrote {printable_path(output)}", err=True)


def is_replaceable(output: Path) -> bool:
    """Return whether a file can be put there; pipes and devices such as /dev/stdout can only be written to."""
    is_system_file = any(output.absolute().is_relative_to(root) for root in ("/dev", "/proc"))
    return not is_system_file and (is_file(output) or not exists(output))


def check_output(output: Path) -> None:
    """Raise UsageError if a file must not be written there, because it belongs to a store."""
    try:
        target = output.resolve()
        store = target.parent.parent if target.parent.name == "checkpoints" else target.parent
        is_checkpoint = store != target.parent and is_file(store / FILE_NAME)
        is_lock = target.name == ".lock" and is_file(store / FILE_NAME)
    except (OSError, ValueError, RuntimeError):  # which writing will say
        return
    if target.name.startswith(FILE_NAME) or is_checkpoint or is_lock:
        raise UsageError(f"{printable_path(output)} belongs to stored results. Choose another file")


def write_bytes(content: bytes, output: Path) -> None:
    """Write a file, whole or not at all; a device or pipe is written to, not replaced. Raises UsageError."""
    check_output(output)
    try:
        if not is_replaceable(output):
            with output.open("ab") as file:  # /dev/stdout may be a file with content
                file.write(content)
            return
        target = output.resolve()  # of a symbolic link
        target.parent.mkdir(parents=True, exist_ok=True)
        replace(target, content)
    except (OSError, ValueError, RuntimeError) as error:  # a null character; links in a circle
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = "a file has the name of its folder"
        raise UsageError(f"cannot write {output}: {reason}. Choose another file") from error
