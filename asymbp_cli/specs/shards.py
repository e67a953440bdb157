"""A part of a study for one of several machines, and the mark that it leaves on a stored command."""

import re
from dataclasses import dataclass

from asymbp_cli.errors import UsageError
from asymbp_cli.text import is_number

_MOST = 10_000
#: a comment in a shell and in Python; no quoted word ends so
_MARK = re.compile(r"(?:^|  )# shard ([0-9]+)/([0-9]+) of study ([0-9a-f]{16})(?:, division ([0-9a-f]{8}))?$")


@dataclass(frozen=True, order=True)
class Shard:
    """The part `number`, counted from 1, of a study that is divided into `count`."""

    count: int
    number: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(text: str) -> Shard:
    """Return the shard that is written as `3/8`; raises UsageError if there is none."""
    number, _, count = text.partition("/")
    shard = _make_shard(number, count)
    if shard is None:
        raise UsageError(
            f'"{text}" is no shard. Write K/N, for instance 3/8 for the third of eight parts; K is 1 to N, and N '
            f"is at most {_MOST:,}"
        )
    return shard


def _make_shard(number: str, count: str) -> Shard | None:
    if not all(is_number(part) and len(part) < 9 for part in (number, count)):
        return None
    shard = Shard(int(count), int(number))
    return shard if 1 <= shard.number <= shard.count <= _MOST else None


@dataclass(frozen=True)
class Mark:
    """Which shard a command trained, and of which study."""

    shard: Shard
    study: str  # the id of its runs
    division: str = ""  # the id of how they are divided; empty if an early command did not say

    def add_to(self, command: str) -> str:
        """Return a command with this mark."""
        division = f", division {self.division}" if self.division else ""
        return f"{command}  # shard {self.shard} of study {self.study}{division}".lstrip()


def split_mark(command: str) -> tuple[str, Mark | None]:
    """Return a stored command as it was typed, and its mark if it has one."""
    found = _MARK.search(command)
    shard = _make_shard(found[1], found[2]) if found else None
    if not found or not shard:
        return command, None
    return command[: found.start()], Mark(shard, found[3], found[4] or "")
