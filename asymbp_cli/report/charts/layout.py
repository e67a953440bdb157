"""From a chart to strokes, markers and words at places: what every picture of it consists of."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from asymbp_cli.report.charts.chart import Chart, KeyEntry, Label, Marker, Panel, Series
from asymbp_cli.report.charts.looks import FONT_SIZE

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]
_LEFT, _TOP, _BOTTOM = 34.0, 22.0, 20.0  # of the frame inside its panel
_LINE = 17.0  # height of a line of words
_GAP = 12.0  # between panels
_MARGIN = 6.0  # around a picture
_PER_LINE = 4  # panels
_SAMPLE = 24.0  # length of a look in the key
_ARROWS = "↑", "→"


@dataclass(frozen=True)
class Path:
    """A line through points, each of several pieces apart, or a filled band."""

    look: str
    pieces: tuple[tuple[Point, ...], ...]
    band: bool = False


@dataclass(frozen=True)
class Mark:
    """A marker at each of some points."""

    look: str
    marker: Marker
    points: tuple[Point, ...]
    hollow: bool = False
    radius: float = 3.2


@dataclass(frozen=True)
class Words:
    """Text; `place` is the left, the middle or the right end of its base line."""

    kind: str  # of `looks.WORDS`
    place: Point
    text: str
    anchor: Anchor = "start"


Shape = Path | Mark | Words


def lay_out_panel(chart: Chart, panel: Panel) -> tuple[Shape, ...]:
    """Return the shapes of a panel, whose upper left corner is at 0, 0."""
    frame = _Frame(chart)
    series = (shape for one in panel.series for shape in frame.draw_series(one))
    return (
        Words("title", (0.0, FONT_SIZE), fit_text(panel.title, chart.width)),
        *frame.draw_axes(),
        *(frame.draw_level(look, value) for look, value in panel.levels if chart.y.shows(value)),
        *series,
        *frame.draw_end_labels(panel.series),
        *frame.draw_labels(panel.labels),
    )


class _Frame:
    """The part of a panel between its axes."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.left, self.top = _LEFT, _TOP
        self.right, self.bottom = chart.width - chart.right, chart.height - _BOTTOM
        self.across = chart.x.spread(self.left, self.right)
        self.up = chart.y.spread(self.bottom, self.top)

    def draw_axes(self) -> Iterator[Shape]:
        """Yield a line across at each tick, the axis below, and the numbers, as far as they do not touch."""
        x, y = self.chart.x, self.chart.y
        heights = {tick: self.up(tick) for tick in y.ticks}
        yield Path("grid", tuple(((self.left, at), (self.right, at)) for at in heights.values()))
        places = {tick: self.across(tick) for tick in x.ticks}
        ticks = (((at, self.bottom), (at, self.bottom + 3)) for at in places.values())
        yield Path("frame", (((self.left, self.bottom), (self.right, self.bottom)), *ticks))
        for tick, at in heights.items():
            yield Words("tick", (self.left - 4, at + 4), f"{tick:g}", "end")
        end = -1.0
        for tick, at in places.items():
            half = measure_text(f"{tick:g}") / 2
            at = min(at, self.chart.width - half)
            if at - half > end:
                yield Words("tick", (at, self.bottom + 3 + FONT_SIZE), f"{tick:g}", "middle")
                end = at + half + 3

    def draw_level(self, look: str, value: float) -> Path:
        """Return a horizontal line."""
        height = self.up(value)
        return Path(look, (((self.left, height), (self.right, height)),))

    def draw_series(self, series: Series) -> Iterator[Shape]:
        """Yield the line or band, and the markers."""
        across = list(map(self.across, series.x))
        points = tuple(zip(across, map(self.up, series.y), strict=True))
        if series.upper:
            upper = list(zip(across, map(self.up, series.upper), strict=True))
            yield Path(series.look, ((*points, *reversed(upper)),), band=True)
            return
        if series.line and len(points) > 1:
            yield Path(series.look, (points,))
        if series.marker:
            yield Mark(series.look, series.marker, points, series.hollow)

    def draw_end_labels(self, series: Sequence[Series]) -> Iterator[Words]:
        """Yield the labels at the ends of lines, apart from each other."""
        ends = [(self.across(one.x[-1]), self.up(one.y[-1]), one.label) for one in series if one.label]
        ends.sort(key=lambda end: end[1])
        lowest = self.bottom - (len(ends) - 1) * FONT_SIZE + 4
        height = 0.0
        for k, (x, y, text) in enumerate(ends):
            height = max(height + FONT_SIZE, min(y + 4, lowest + k * FONT_SIZE))
            yield Words("label", (x + 6, height), text)

    def draw_labels(self, labels: Sequence[Label]) -> Iterator[Words]:
        """Yield the names of points, beside them towards the middle, apart from each other."""
        taken: list[tuple[float, float, float]] = []
        for label in labels:
            x, y = self.across(label.x), self.up(label.y)
            on_right = x < (self.left + self.right) / 2
            text = fit_text(label.text, (self.right - x if on_right else x - self.left) - 8)
            start = x + 7 if on_right else x - 7 - measure_text(text)
            end, height = start + measure_text(text), y + 4
            while any(start < b and a < end and abs(height - at) < FONT_SIZE for a, b, at in taken):
                height += 2
            taken.append((start, end, height))
            yield Words("label", (x + 7 if on_right else x - 7, height), text, "start" if on_right else "end")


def lay_out_sample(entry: KeyEntry) -> tuple[Shape, ...]:
    """Return the look of an entry of the key, in a box of `_SAMPLE` by FONT_SIZE."""
    middle = FONT_SIZE / 2
    shapes: list[Shape] = []
    if entry.band:
        box = ((0.0, 0.0), (_SAMPLE, 0.0), (_SAMPLE, FONT_SIZE), (0.0, float(FONT_SIZE)))
        shapes.append(Path(entry.look, (box,), band=True))
    elif entry.line:
        shapes.append(Path(entry.look, (((0.0, middle), (_SAMPLE, middle)),)))
    if entry.marker:
        shapes.append(Mark(entry.look, entry.marker, ((_SAMPLE / 2, middle),), entry.hollow))
    return tuple(shapes)


def describe_axes(chart: Chart) -> str:
    """Return the meaning of the axes, in a line."""
    up, right = _ARROWS
    return f"{up} {chart.y.label}   {right} {chart.x.label}"


def lay_out_chart(chart: Chart) -> tuple[float, float, tuple[Shape, ...]]:
    """Return width, height and shapes of one picture: the key above, the panels in lines below."""
    columns = min(_PER_LINE, len(chart.panels))
    width = max(columns * (chart.width + _GAP) - _GAP, 420.0)
    shapes: list[Shape] = [Words("tick", (0.0, FONT_SIZE), describe_axes(chart))]
    x, y = measure_text(describe_axes(chart)) + 18, 0.0
    for entry in chart.key:
        needed = _SAMPLE + 6 + measure_text(entry.text)
        if x + needed > width and x:
            x, y = 0.0, y + _LINE
        shapes += move(lay_out_sample(entry), x, y + 2)
        shapes.append(Words("tick", (x + _SAMPLE + 6, y + FONT_SIZE), entry.text))
        x += needed + 18
    top = y + _LINE + 8
    for k, panel in enumerate(chart.panels):
        line, column = divmod(k, columns)
        place = column * (chart.width + _GAP), top + line * (chart.height + _GAP)
        shapes += move(lay_out_panel(chart, panel), *place)
    height = top + ceil(len(chart.panels) / columns) * (chart.height + _GAP) - _GAP
    return width + 2 * _MARGIN, height + 2 * _MARGIN, tuple(move(shapes, _MARGIN, _MARGIN))


def move(shapes: Sequence[Shape], right: float, down: float) -> Iterator[Shape]:
    """Yield the shapes at another place."""

    def shift(point: Point) -> Point:
        return point[0] + right, point[1] + down

    for shape in shapes:
        match shape:
            case Path():
                yield replace(shape, pieces=tuple(tuple(map(shift, piece)) for piece in shape.pieces))
            case Mark():
                yield replace(shape, points=tuple(map(shift, shape.points)))
            case Words():
                yield replace(shape, place=shift(shape.place))


def measure_text(text: str) -> float:
    """Return about how wide a text is."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return FONT_SIZE * (0.58 * (len(text) - wide) + wide)


def fit_text(text: str, width: float) -> str:
    """Return a text that is cut to a width, with `…` if something is cut."""
    if measure_text(text) <= width:
        return text
    while text and measure_text(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…"
