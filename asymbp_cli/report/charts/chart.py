"""What a figure shows, in the units of its axes: panels of series, and the key to their looks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Literal

#: what a colour and a dash mean, the same in every figure
Look = Literal["ours", "training", "papers", "baseline", "chance", "dead"]
Marker = Literal["", "dot", "square", "diamond", "triangle", "cross"]
MARKERS: tuple[Marker, ...] = ("dot", "square", "diamond", "triangle")
_MOST_TICKS = 5
_LOG_TICKS = ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))  # times a power of ten: the first that are few


@dataclass(frozen=True)
class Series:
    """Points of one look: joined by a line or not, each with a marker or not."""

    look: Look
    x: Sequence[float]
    y: Sequence[float]
    line: bool = True
    marker: Marker = ""
    hollow: bool = False  # the markers
    upper: Sequence[float] = ()  # if there is any, the series is the band from `y` up to these
    label: str = ""  # written at the end of the line


@dataclass(frozen=True)
class Label:
    """A name beside a point."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Panel:
    """One plot: later series are above earlier ones. `levels` are horizontal lines."""

    title: str
    alt: str  # what the panel shows, in words
    series: tuple[Series, ...]
    levels: tuple[tuple[Look, float], ...] = ()
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, with the values that have a tick."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def spread(self, start: float, end: float) -> Callable[[float], float]:
        """Return the function from values to places; what is outside the axis is at the nearer end."""
        low, high = self.low, self.high
        if self.logarithmic:
            slope, first = (end - start) / log10(high / low), log10(low)
            return lambda value: start + slope * (log10(min(max(value, low), high)) - first)
        slope = (end - start) / (high - low)
        return lambda value: start + slope * (min(max(value, low), high) - low)

    def shows(self, value: float) -> bool:
        """Return whether a value is on the axis."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class KeyEntry:
    """What a look and a marker mean."""

    look: Look
    text: str
    line: bool = True
    marker: Marker = ""
    hollow: bool = False
    band: bool = False


@dataclass(frozen=True)
class Chart:
    """Panels with the same axes, and the key to them. Sizes are in pixels, of one panel."""

    panels: tuple[Panel, ...]
    x: Axis
    y: Axis
    key: tuple[KeyEntry, ...] = ()
    width: float = 200
    height: float = 170
    right: float = 8  # of the panel's frame; wider for labels at the ends of lines


def make_error_axis(errors: Sequence[float], label: str = "test error, %") -> Axis:
    """Return an axis for errors: logarithmic if they span more than a factor of five, otherwise from 0."""
    low, high = min(errors, default=0.0), max(errors, default=1.0)
    if low > 0 and high > 5 * low:
        return make_log_axis(low / 1.25, min(high * 1.25, 110.0), label)
    return make_linear_axis(0.0, 1.08 * high or 1.0, label)


def make_linear_axis(low: float, high: float, label: str, *, whole: bool = False) -> Axis:
    """Return an axis with ticks at round numbers; with `whole`, at whole ones, and one at the lower end."""
    step = _round_step((high - low) / (_MOST_TICKS - 1), whole=whole)
    ticks = [step * k for k in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]
    if whole:
        ticks = [low, *(tick for tick in ticks if tick - low >= step / 2)]
    return Axis(label, low, high, tuple(round(tick, 10) for tick in ticks))


def _round_step(least: float, *, whole: bool) -> float:
    """Return the smallest of 1, 2, 2.5 and 5 times a power of ten that is at least `least`."""
    if whole and least <= 1:
        return 1.0
    power = 10.0 ** floor(log10(least))
    steps = [times * power for times in (1, 2, 2.5, 5, 10) if not (whole and times * power % 1)]
    return next(step for step in steps if step >= least * (1 - 1e-9))


def make_log_axis(low: float, high: float, label: str, ticks: Sequence[float] = ()) -> Axis:
    """Return a logarithmic axis with these ticks, or with round ones, as many as are not too many."""
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    for choice in _LOG_TICKS if not ticks else ():
        found = [round(times * 10.0**power, 10) for power in powers for times in choice]
        ticks = [tick for tick in found if low <= tick <= high]
        if len(ticks) <= _MOST_TICKS:
            break
    return Axis(label, low, high, tuple(ticks), logarithmic=True)
