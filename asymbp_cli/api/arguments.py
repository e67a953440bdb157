"""The arguments of Python users: paths, whole numbers and lists of them of any type; the rest is a message."""

import operator
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from asymbp_cli.errors import UsageError
from asymbp_cli.executors.registry import explain_owner, load_executor
from asymbp_cli.files.paths import expand_home
from asymbp_cli.machine import cores, parse_device
from asymbp_cli.specs.modules import WhichWeights
from asymbp_cli.study import Execution

AnyPath = str | os.PathLike[str]


def read_text(value: object, name: str, allowed: str = "a path") -> str:
    """Return text, or a path as text; raises UsageError if it is neither."""
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        raise UsageError(f"{name} is {allowed}, not {value!r}")
    return text


def read_path(value: object, name: str, allowed: str = "a path") -> Path:
    """Return a path with `~` expanded."""
    return expand_home(read_text(value, name, allowed))


def read_paths(value: object, name: str) -> tuple[Path, ...]:
    """Return the paths of a list, or the one that is given."""
    return tuple(expand_home(text) for text in read_texts(value, name, "a path, or a list of them"))


def read_texts(value: object, name: str, allowed: str) -> tuple[str, ...]:
    """Return the texts and paths of a list, or the one that is given, as text."""
    if isinstance(value, str | os.PathLike):
        return (read_text(value, name, allowed),)
    if not isinstance(value, Iterable) or isinstance(value, bytes | Mapping):
        raise UsageError(f"{name} is {allowed}, not {value!r}")
    return tuple(read_text(part, name, allowed) for part in value)


def read_datasets(value: object) -> tuple[str, ...]:
    """Return datasets as commands name them; a path is never the name of one that asymbp knows."""
    many = [value] if isinstance(value, str | os.PathLike) else value
    if isinstance(many, Iterable):
        many = [f"folder:{os.fspath(part)}" if isinstance(part, Path) else part for part in many]
    return read_texts(many, "dataset", "a name, a path, or a list of them")


def read_protocol(value: object) -> str | Mapping[str, Any] | None:
    """Return a protocol as recipes write it; None if none is given."""
    if value is None or isinstance(value, Mapping):
        return value
    return read_text(value, "protocol", "a name, a path or a mapping")


def read_seeds(value: object) -> tuple[int, ...]:
    """Return the seeds: so many from 0 on, or those of a list."""
    count = _read_whole(value)
    if count is not None:
        seeds = tuple(range(count))
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping | Iterator):
        found = [_read_whole(part) for part in value]
        seeds = tuple(seed for seed in found if seed is not None and seed >= 0)
        seeds = seeds if len(set(seeds)) == len(found) else ()
    else:
        seeds = ()
    if not seeds:
        raise UsageError(f"seeds are a number of them from 1 on, or a list of different ones, not {value!r}")
    return seeds


def _read_whole(value: Any) -> int | None:
    """Return a whole number of any type, numpy's too; None if it is none. True is none."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def read_execution(device: object, workers: object, executor: object, keep_weights: object) -> Execution:
    """Return how to train: as the executor says, on the CPU by default with one worker per core."""
    count = None if workers is None else _read_whole(workers)
    if workers is not None and (count is None or count < 1):
        raise UsageError(f"workers are a whole number, at least 1, not {workers!r}")
    if not isinstance(device, str | None):
        raise UsageError(f'device is a name, for instance "cpu" or "cuda:0", not {device!r}')
    if keep_weights not in (None, *get_args(WhichWeights)):
        raise UsageError(f'keep_weights is "best", "last" or None, not {keep_weights!r}')
    if not isinstance(executor, Mapping | None):
        executor = read_text(executor, "executor", "a name, a path or a mapping")
    which = keep_weights if isinstance(keep_weights, str) else None
    chosen = next((known for known in get_args(WhichWeights) if known == which), None)
    return make_execution(device and parse_device(device), count, executor, {}, chosen)


def make_execution(
    device: str | None,
    workers: int | None,
    executor: str | Mapping[str, Any] | None,
    options: Mapping[str, Any],
    keep_weights: WhichWeights | None,
) -> Execution:
    """Return how to train: with one worker on an accelerator of this machine, on the CPU with one per core.

    `executor` is a name, a file or a mapping; `options` replace what it says, unless they are None. Raises
    UsageError, RecipeError.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if executor is None:
        for name in given:
            raise explain_owner(name)
        device = device or "cpu"
        return Execution(device, 1 if device != "cpu" else workers or cores(), keep_weights=keep_weights)
    given |= {"device": device} if device else {}
    given |= {"workers": workers} if workers else {}
    chosen = load_executor(executor, given)
    device = chosen.device or "cpu"
    fitting = 1 if chosen.executor == "inline" or (device != "cpu" and not chosen.remote) else cores()
    return Execution(device, chosen.workers or fitting, chosen, keep_weights=keep_weights)
