"""Text that users read: the nearest known word or path, and text that is fit to be printed."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

_MOST_OFFERED = 3  # names
_LONGEST_WORD = 100  # letters; comparing longer text takes long, and no name is like it
_MOST_COMPARED = 1000  # names in a folder


def find_nearest(word: str, choices: Iterable[str]) -> str:
    """Return the choice closest to `word`, or the only one that begins so, or `''`."""
    if len(word) > _LONGEST_WORD:
        return ""
    by_lower = {choice.lower(): choice for choice in choices}
    beginning = [choice for choice in by_lower if word and choice.startswith(f"{word.lower()} ")]
    matches = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6) or beginning[: len(beginning) == 1]
    return by_lower[matches[0]] if matches else ""


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return `' Did you mean "x"?'` for the choice nearest to `word`, or `''`.

    If none is near, the few that begin with the whole word are offered: `usf-digits` and `usf-readings` for `usf`.
    """
    choices = list(choices)
    found = [one] if (one := find_nearest(word, choices)) else _list_beginning(word, choices)
    names = " or ".join(f'"{choice}"' for choice in found)
    return f" Did you mean {names}?" if found else ""


def _list_beginning(word: str, choices: Iterable[str]) -> list[str]:
    """Return the choices that begin with a word and a dash; none if they are many."""
    found = [choice for choice in choices if word and choice.lower().startswith(f"{word.lower()}-")]
    return found if len(found) <= _MOST_OFFERED else []


def nearest_path(path: Path, is_meant: Callable[[Path], bool]) -> str:
    """Return `' Did you mean "./photos"?'` for the path nearest to one that leads nowhere, or `''`.

    Only what `is_meant` is offered. Folders on the way may be mistyped too.
    """
    found = _find_near_path(path, lambda found: found.exists() and is_meant(found))
    if found is None or found == path:
        return ""
    return f' Did you mean "{"" if len(found.parts) > 1 else "./"}{found}"?'


def _find_near_path(path: Path, is_meant: Callable[[Path], bool]) -> Path | None:
    """Return the path, or else the nearest one that `is_meant`; None if there is none."""
    try:
        if is_meant(path):
            return path
        folder = None if path == path.parent else _find_near_path(path.parent, Path.is_dir)
        if folder is None:
            return None
        if is_meant(folder / path.name):
            return folder / path.name
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, _MOST_COMPARED)]
        names = [name for name in names if printable(name) and is_meant(folder / name)]
    except (OSError, ValueError):  # a folder that may not be read, a name that no file can have
        return None
    name = find_nearest(path.name, names)
    is_near = name and (Path(name).suffix != path.suffix or find_nearest(path.stem, [Path(name).stem]))
    return folder / name if is_near else None  # none.yaml is not mine.yaml, which has as long an ending


#: what steers a terminal or turns text around: C0, DEL, C1, line separators, bidirectional overrides and isolates;
#: and surrogates, which no file can hold
_UNPRINTABLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")


def printable(text: str) -> bool:
    """Return whether the text is a single line without control, override or surrogate characters."""
    return _UNPRINTABLE.search(text) is None


def escape_controls(text: str, *, keep: str = "\n\t") -> str:
    r"""Return text with all that `printable` refuses written as \u001b, except for the letters in `keep`.

    In JSON the escape means the same letter.
    """
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else f"\\u{ord(found[0]):04x}", text)


def printable_path(path: Path | str) -> str:
    """Return a path, or other text, escaped if it has control characters or is not UTF-8."""
    text = str(path)
    return text if printable(text) else ascii(text)[1:-1]


def is_number(text: str) -> bool:
    """Return whether text is a whole number in the digits 0 to 9; Python takes those of any script."""
    return text.isascii() and text.isdecimal()


def digest_words(*words: object) -> bytes:
    """Return the SHA-256 of words: what seeds of random draws are made of, the same on every machine."""
    return hashlib.sha256("/".join(map(str, words)).encode()).digest()


def list_some(names: Sequence[str], most: int = 3) -> str:
    """Return the first names, and how many more there are: `a, b, c and 4 more`."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 run`, `2,520 runs`; `plural` if that is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def format_duration(seconds: float) -> str:
    """Return a duration in words: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60:,} h {minutes % 60} min"


def format_moment(seconds: float, pattern: str) -> str:
    """Return a moment, in seconds since 1970, as a date of this place; `?` if there is no such date."""
    try:
        return f"{datetime.fromtimestamp(seconds):{pattern}}"
    except (OverflowError, OSError, ValueError):  # of a clock that was wrong
        return "?"


def simplify(name: str) -> str:
    """Return a name without what people and file systems change: capitals, composed letters, spaces, dashes."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())
