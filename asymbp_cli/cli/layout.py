"""The layout of listings: columns beside each other if there is room, else a block of lines for each row.

If a listing is too wide, its long cells are wrapped at spaces first. Then the columns that it can do without are
left out, one by one. No word is ever broken: paths and ids can be copied.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import cell_len

from asymbp_cli.report.document import Listing

_WORD = re.compile(r"`[^`]*`\S*|\S+")  # code between backticks is one
_GAP = "  "  # between columns
_SHORTEST = 16  # cells up to this width are not wrapped
_COMFORTABLE = (
    24,
    _SHORTEST,
)  # widths that wrapped columns keep: rather leave out a column than go below the first


@dataclass(frozen=True)
class Layout:
    """The lines of a listing, and the headers of the columns that had no room."""

    lines: tuple[str, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Column:
    """A column of a listing; a number, or a `whole` text, is never wrapped."""

    header: str
    cells: tuple[str, ...]
    is_numeric: bool
    is_whole: bool

    @property
    def width(self) -> int:
        """Return the width of its longest text."""
        return max(map(measure, (self.header, *self.cells)))

    def narrowest(self, comfortable: int) -> int:
        """Return the width that it can be wrapped to."""
        header = max(map(measure, self.header.split()), default=0)
        if self.is_numeric or self.is_whole:
            return max([header, *map(measure, self.cells)])
        words = (word for text in self.cells if measure(text) > comfortable for word in text.split())
        widths = (min(measure(text), comfortable) for text in self.cells)
        return max([header, *widths, *map(measure, words)])


def measure(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return len(text) if text.isascii() else cell_len(text)


def lay_out(listing: Listing, width: int) -> Layout:
    """Return a listing in so many columns of a terminal; only a word that is longer goes beyond them."""
    columns = _make_columns(listing)
    for comfortable in _COMFORTABLE:
        for count in range(len(listing.least) + 1):
            left_out = listing.least[:count]
            kept = [column for column in columns if column.header not in left_out]
            if widths := _fit(kept, width, comfortable):
                return Layout(tuple(_render_columns(kept, widths)), left_out)
    return Layout(tuple(_render_blocks(listing, width)))


def _make_columns(listing: Listing) -> list[_Column]:
    count = len(listing.header)
    cells = list(zip(*listing.rows, strict=True)) or [()] * count
    numeric = listing.numeric or (False,) * count
    return [
        _Column(header, texts, is_numeric and header not in listing.whole, header in listing.whole)
        for header, texts, is_numeric in zip(listing.header, cells, numeric, strict=True)
    ]


def _fit(columns: Sequence[_Column], width: int, comfortable: int) -> list[int] | None:
    """Return the widths of columns, the widest of which are wrapped; None if there is too little room."""
    room = width - len(_GAP) * (len(columns) - 1)
    widths = [column.width for column in columns]
    if sum(widths) <= room:
        return widths
    least = [column.narrowest(comfortable) for column in columns]
    if sum(least) > room:
        return None
    while sum(widths) > room:
        _, widest = max((width, i) for i, width in enumerate(widths) if width > least[i])
        widths[widest] -= 1
    return widths


def _render_columns(columns: Sequence[_Column], widths: Sequence[int]) -> Iterator[str]:
    right = [column.is_numeric for column in columns]
    yield from _render_row([column.header for column in columns], widths, right)
    yield _GAP.join("-" * width for width in widths)
    for cells in zip(*(column.cells for column in columns), strict=True):
        yield from _render_row(cells, widths, right)


def _render_row(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> Iterator[str]:
    wrapped = [wrap(text, width) for text, width in zip(cells, widths, strict=True)]
    for texts in zip_longest(*wrapped, fillvalue=""):
        yield _GAP.join(map(_pad, texts, widths, right)).rstrip()


def _pad(text: str, width: int, is_right: bool) -> str:
    spaces = " " * (width - measure(text))
    return spaces + text if is_right else text + spaces


def _render_blocks(listing: Listing, width: int) -> Iterator[str]:
    for i, row in enumerate(listing.rows):
        if i:
            yield ""
        yield from lay_out_facts(list(zip(listing.header, row, strict=True)), width)


def lay_out_facts(facts: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """Yield names and texts in two columns; a text that is long has several lines."""
    indent = max(measure(name) for name, _ in facts) + len(_GAP)
    for name, text in facts:
        first, *others = wrap(text, max(width - indent, _SHORTEST))
        yield f"{_pad(name, indent, False)}{first}".rstrip()
        yield from (f"{' ' * indent}{line}" for line in others)


def wrap(text: str, width: int) -> list[str]:
    """Return a text in lines of at most so many columns, at least one; a longer word has a line of its own."""
    if measure(text) <= width:
        return [text]
    lines: list[str] = []
    for word in _WORD.findall(text):
        if lines and measure(lines[-1]) + 1 + measure(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]
