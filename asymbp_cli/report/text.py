"""Text of reports: code spans, and short forms of titles."""

import re
import shlex
from collections.abc import Sequence

from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.labels import find_table_words


def split_code_spans(text: str) -> list[tuple[str, bool]]:
    """Split text at its backticks: pieces, each with whether it is code. A backtick without a partner is text."""
    pieces = re.split(r"`([^`]+)`", text)
    return [(piece, i % 2 == 1) for i, piece in enumerate(pieces) if piece]


def short_title(text: str) -> str:
    """Return the beginning of a title or caption: up to a full stop or colon outside brackets."""
    return re.split(r"(?<! al)[.:](?: |$)(?![^(]*\))", text)[0]


def head_tables(grids: Sequence[Grid]) -> list[str]:
    """Return the short title of each table with what `--table` takes: `Table 2 (Exp. A) (--table 2)`."""
    titles, words = shorten_titles([grid.title for grid in grids]), find_table_words(grids)
    return [
        title if title == word else f"{title} (--table {shlex.quote(word)})"
        for title, word in zip(titles, words, strict=True)
    ]


def shorten_titles(titles: Sequence[str]) -> list[str]:
    """Return the beginning of each title; the whole if another title begins so."""
    whole: dict[str, set[str]] = {}
    for title in titles:
        whole.setdefault(short_title(title), set()).add(title)
    return [short if len(whole[short := short_title(title)]) == 1 else title for title in titles]
