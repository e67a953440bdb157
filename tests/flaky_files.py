"""A file system that refuses for a moment what it has and what it is given, as those of clusters do."""

import errno
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asymbp_cli.files import patience


def refuse(monkeypatch: pytest.MonkeyPatch, below: Path, times: float, *, writing: bool = True) -> Counter[str]:
    """Let every path `below` a directory be refused so many times, by each call; returns the refusals by call.

    Unless `writing`, only calls that read or delete are refused.

    Nobody waits between two calls.
    """
    refused: Counter[str] = Counter()
    seen: Counter[tuple[str, str]] = Counter()
    monkeypatch.setattr(patience, "_PAUSES", (0.0,) * len(patience._PAUSES))

    def disturb(owner: Any, name: str) -> None:
        plain: Callable[..., Any] = getattr(owner, name)

        def call(path: Any, *arguments: Any, **named: Any) -> Any:
            is_below = isinstance(path, str | Path) and below in Path(path).parents
            writes = "w" in str(arguments[:1] or named.get("mode", ""))
            if is_below and (writing or not writes) and seen[name, str(path)] < times:
                seen[name, str(path)] += 1
                refused[name] += 1
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
            return plain(path, *arguments, **named)

        monkeypatch.setattr(owner, name, call)

    calls = [(Path, "open"), (Path, "read_bytes"), (Path, "stat"), (Path, "unlink"), (os, "listdir")]
    if writing:
        calls += [(Path, "mkdir"), (Path, "touch"), (Path, "rename"), (os, "replace")]
    for owner, name in calls:
        disturb(owner, name)
    return refused
