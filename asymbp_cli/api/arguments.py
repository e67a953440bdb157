"""The arguments of Python users: paths, whole numbers and lists of them of any type; the rest is a message."""

import operator
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from asymbp_cli.errors import UsageError
from asymbp_cli.executors.devices import choose_devices
from asymbp_cli.executors.options import RemoteOptions
from asymbp_cli.executors.registry import explain_owner, load_executor
from asymbp_cli.files.paths import expand_home
from asymbp_cli.machine import MOST_WORKERS, parse_devices
from asymbp_cli.specs.modules import WhichWeights
from asymbp_cli.specs.shards import Shard, parse_shard
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


def read_part(value: object, name: str) -> str | Mapping[str, Any] | None:
    """Return a protocol or network as recipes write it; None if none is given."""
    if value is None or isinstance(value, Mapping):
        return value
    return read_text(value, name, "a name, a path or a mapping")


def read_seeds(value: object, first: object = None) -> tuple[int, ...] | None:
    """Return the seeds: so many from the first one on (0 by default), or a list; None if none are given."""
    start = 0 if first is None else _read_whole(first)
    if start is None or start < 0:
        raise UsageError(f"seed is a whole number from 0 on, not {first!r}")
    if value is None:
        return None if first is None else (start,)
    count = _read_whole(value)
    if count is not None:
        seeds = tuple(range(start, start + count))
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping | Iterator):
        if first is not None:
            raise UsageError("seed is the first one of a number of seeds. Leave it out if seeds is a list")
        found = [_read_whole(part) for part in value]
        seeds = tuple(seed for seed in found if seed is not None and seed >= 0)
        seeds = seeds if len(set(seeds)) == len(found) else ()
    else:
        seeds = ()
    if not seeds:
        raise UsageError(f"seeds are a number of them from 1 on, or a list of different ones, not {value!r}")
    return seeds


def read_tables(value: object) -> tuple[str, ...]:
    """Return tables as commands name them: a number, a name, a path, or a list of these."""
    if isinstance(value, os.PathLike):
        return (read_text(value, "table"),)
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return (str(value),)
    return tuple(table for part in value for table in read_tables(part))


def _read_whole(value: Any) -> int | None:
    """Return a whole number of any type, numpy's too; None if it is none. True is none."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def read_shard(value: object) -> Shard | None:
    """Return the shard that is written as "3/8"; None if there is none."""
    if value is None or isinstance(value, str):
        return None if value is None else parse_shard(value)
    raise UsageError(f'shard is a text, for instance "3/8", not {value!r}')


def read_execution(
    device: object, workers: object, executor: object, attempts: object, keep_weights: object
) -> Execution:
    """Return how to train: as the executor says, else with a worker on each device."""
    count = None if workers is None else _read_count(workers, "workers", most=MOST_WORKERS)
    if not isinstance(device, str | None):
        raise UsageError(f'device is a name, for instance "cpu" or "cuda:0", not {device!r}')
    if keep_weights not in (None, *get_args(WhichWeights)):
        raise UsageError(f'keep_weights is "best", "last" or None, not {keep_weights!r}')
    if not isinstance(executor, Mapping | None):
        executor = read_text(executor, "executor", "a name, a path or a mapping")
    which = keep_weights if isinstance(keep_weights, str) else None
    return replace(
        make_execution(None if device is None else parse_devices(device), count, executor, {}),
        attempts=_read_count(attempts, "attempts"),
        keep_weights=next((known for known in get_args(WhichWeights) if known == which), None),
    )


def make_execution(
    devices: tuple[str, ...] | None,
    workers: int | None,
    executor: str | Mapping[str, Any] | None,
    options: Mapping[str, Any],
) -> Execution:
    """Return how to train: with a worker on each device, on the CPU by default with one per core.

    `executor` is a name, a file or a mapping; what is given besides, `options` too, replaces what it says, unless
    it is None. Raises UsageError, RecipeError, DeviceError as `choose_devices`.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if executor is None:
        for name in given:
            raise explain_owner(name)
        return Execution(choose_devices(devices or ("cpu",), workers))
    given |= {"device": ",".join(devices)} if devices else {}
    given |= {"workers": workers} if workers else {}
    chosen = load_executor(executor, given)
    names = parse_devices(chosen.device or "cpu")
    if isinstance(chosen, RemoteOptions) or chosen.executor == "inline":
        return Execution(names[:1] * (chosen.workers or 1), chosen)
    return Execution(choose_devices(names, chosen.workers), chosen)


def _read_count(value: object, name: str, *, most: int | None = None) -> int:
    """Return a whole number from 1 on; raises UsageError if it is none."""
    count = _read_whole(value)
    if count is None or count < 1 or (most and count > most):
        limit = f", at most {most:,}" if most else ""
        raise UsageError(f"{name} are a whole number, at least 1{limit}, not {value!r}")
    return count
