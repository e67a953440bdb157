"""Asking a network file system again: for a moment it may refuse what it has."""

import time
from collections.abc import Callable
from typing import TypeVar

from asymbp_cli.errors import explain_limit

_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # seconds
_ANSWERS = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)

T = TypeVar("T")


def patiently(ask: Callable[[], T]) -> T:
    """Return what `ask` returns. After an OSError it is called again, for some seconds; the last one is raised.

    That a file is not there, is a directory or may not be read is an answer, which is raised at once. So is that a
    limit is reached.
    """
    for pause in _PAUSES:
        try:
            return ask()
        except OSError as error:
            if isinstance(error, _ANSWERS) or explain_limit(error):
                raise
            time.sleep(pause)
    return ask()
