"""Asking a network file system again: for a moment it may refuse what it has, or what it is given."""

import errno
import time
from collections.abc import Callable
from typing import TypeVar

from asymbp_cli.errors import explain_limit

_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # seconds
_ANSWERS = (FileExistsError, FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
_REFUSALS = {errno.EROFS, errno.ENAMETOOLONG}

T = TypeVar("T")


def patiently(ask: Callable[[], T]) -> T:
    """Return what `ask` returns. After an OSError it is called again, for some seconds; the last one is raised.

    That a file is not there, is a directory, or may not be read or written is an answer, which is raised at once.
    So is that a limit is reached. What `ask` writes must be the same if that is written twice.
    """
    for pause in _PAUSES:
        try:
            return ask()
        except OSError as error:
            if isinstance(error, _ANSWERS) or error.errno in _REFUSALS or explain_limit(error):
                raise
            time.sleep(pause)
    return ask()
