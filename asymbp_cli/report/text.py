"""Text of reports: code spans, and short forms of titles."""

import re
from collections.abc import Sequence


def split_code_spans(text: str) -> list[tuple[str, bool]]:
    """Split text at its backticks: pieces, each with whether it is code. A backtick without a partner is text."""
    pieces = re.split(r"`([^`]+)`", text)
    return [(piece, i % 2 == 1) for i, piece in enumerate(pieces) if piece]


def short_title(text: str) -> str:
    """Return the beginning of a title or caption: up to a full stop or colon outside brackets."""
    return re.split(r"(?<! al)[.:](?: |$)(?![^(]*\))", text)[0]


def shorten_titles(titles: Sequence[str]) -> list[str]:
    """Return the beginning of each title; the whole if another title begins so."""
    whole: dict[str, set[str]] = {}
    for title in titles:
        whole.setdefault(short_title(title), set()).add(title)
    return [short if len(whole[short := short_title(title)]) == 1 else title for title in titles]
