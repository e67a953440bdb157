"""Text of reports: code spans, and short forms of titles."""

import re


def split_code_spans(text: str) -> list[tuple[str, bool]]:
    """Split text at its backticks: pieces, each with whether it is code. A backtick without a partner is text."""
    pieces = re.split(r"`([^`]+)`", text)
    return [(piece, i % 2 == 1) for i, piece in enumerate(pieces) if piece]


def short_title(text: str) -> str:
    """Return the beginning of a title or caption: up to a full stop or colon outside brackets."""
    return re.split(r"[.:](?: |$)(?![^(]*\))", text)[0]
