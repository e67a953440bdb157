"""Files that are written whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path

_NAME_CHARACTERS = 40  # of the target's name in the temporary one, which has an upper limit too


def replace(target: Path, content: bytes, *, durable: bool = False) -> None:
    """Write `content` to `target`; a crash leaves the old file or the new one, never a part.

    `durable`: the content survives a loss of power. Raises OSError if the file cannot be written.
    """
    temporary = target.with_name(f".{target.name[:_NAME_CHARACTERS]}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError, ValueError):  # the first error is the one to report
            temporary.unlink(missing_ok=True)
        raise
