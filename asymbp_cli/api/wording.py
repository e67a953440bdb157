"""Messages about options of commands, in the words of Python; and calls, as the results keep them."""

import inspect
import operator
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from asymbp_cli.errors import AsymbpError, RecipeError

#: as commands write it -> as Python does, tried in this order
_WORDS = (
    (r"--set protocol\.", "protocol."),
    (r"--(dataset|device|rule|keep-weights) (digits|cpu|cuda(?::[0-9]+)?|paper|held-out|best|last)\b", r'\1="\2"'),
    (r"--executor (inline|processes|slurm|ray)\b", r'executor="\1"'),
    (r"--plugin FILE", "plugins=FILE"),
    (r"--plugin", "plugins"),
    (r"--download", "download=True"),
    (r"--results DIR", "results=DIR"),
    (r"--(cache-dir|data-dir) DIR", r"\1=DIR"),
    (r"--attempts N", "attempts=N"),
    (r"--(partition|time)\b", r"\1"),
    (r"--(cache-dir|data-dir|dataset|device|executor|keep-weights)\b", r"\1=..."),
    (r"--(protocol|results|rule|seeds?|shard|workers)\b", r"\1=..."),
)
_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"
_DASHED = re.compile(r"\b(cache-dir|data-dir|keep-weights)(?==)")


def say_in_python(message: str) -> str:
    """Return a message that names arguments of `train` and `reproduce` in place of options of commands."""
    for written, said in _WORDS:
        message = re.sub(rf"(?<![\w-]){written}", said, message)
    return _DASHED.sub(lambda match: match[0].replace("-", "_"), message)


@contextmanager
def speaking_python() -> Iterator[None]:
    """Let errors name arguments in place of options."""
    try:
        yield
    except RecipeError as error:
        error.problems = tuple(map(say_in_python, error.problems))
        error.args = ("\n".join(error.problems),)
        raise
    except AsymbpError as error:
        error.args = tuple(say_in_python(part) if isinstance(part, str) else part for part in error.args)
        raise


def warn(message: str) -> None:
    """Warn with a message in the words of Python, at the line outside of this package that called it."""
    frame, level = inspect.currentframe(), 1
    while frame and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(say_in_python(message), stacklevel=level)


def write_call(function: Callable[..., Any], arguments: Mapping[str, Any]) -> str:
    """Return a call of a function of `asymbp` in one line that can be typed again: no argument that is a default.

    Callables, which no text repeats, are left out.
    """
    parameters = inspect.signature(function).parameters
    values = {name: _make_plain(arguments[name]) for name in parameters}
    first, *others = values
    changed = (
        f"{name}={values[name]!r}"
        for name in others
        if not callable(values[name]) and values[name] != _make_plain(parameters[name].default)
    )
    return f"asymbp.{function.__name__}({', '.join((repr(values[first]), *changed))})"


def _make_plain(value: Any) -> Any:
    """Return paths as text, and what is like a mapping, a list or a whole number as one."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {key: _make_plain(part) for key, part in value.items()}
    if isinstance(value, bool | str | bytes):
        return value
    with suppress(TypeError):
        return operator.index(value)
    if isinstance(value, Iterable):
        return [_make_plain(part) for part in value]
    return value
