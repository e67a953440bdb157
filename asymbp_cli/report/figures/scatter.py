"""All cells in one scatter plot: our errors against the paper's."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import NamedTuple

from asymbp_cli.analysis.agreement import deduplicate, group_tables, pair_cells
from asymbp_cli.analysis.copies import keep_one_copy
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.report.charts.chart import (
    MARKERS,
    Chart,
    KeyEntry,
    Label,
    Marker,
    Panel,
    Series,
    make_log_axis,
)
from asymbp_cli.report.document import Figure

_NAME = "ours-against-the-papers"
_LABELLED = 6  # of the cells furthest from the paper
_WORTH_A_LABEL = 1.0  # points
_BAND_POINTS = 3.0  # section 5


class _Point(NamedTuple):
    """A cell of the plot."""

    method: str
    row: str  # label of the dataset
    paper: float
    ours: float

    @property
    def distance(self) -> float:
        """Points between ours and the paper's, as `Agreement` counts them."""
        return abs(round(self.ours - self.paper, 6))


def draw_scatter(tables: Sequence[FilledGrid]) -> Iterator[Figure]:
    """Draw every complete cell against the paper's number, for each protocol apart."""
    groups = {group: points for group, own in group_tables(tables).items() if (points := _points(own))}
    for number, (group, points) in enumerate(groups.items(), start=1):
        several = len(groups) > 1
        by = f" by {group.describe_among(groups)}" if several else ""
        yield _draw_group(points, f"{_NAME}-{number}" if several else _NAME, by)


def _draw_group(points: Sequence[_Point], name: str, by: str) -> Figure:
    """Draw cells by a protocol, as `by` says, against the paper's numbers, with 3 points around equality."""
    far = sorted((p for p in points if p.distance > _WORTH_A_LABEL), key=lambda point: -point.distance)[:_LABELLED]
    errors = [error for point in points for error in (point.paper, point.ours)]
    low, high = min(filter(None, errors)) / 1.3, min(110.0, max(errors) * 1.3)
    edge = "; an error of 0 is at the edge" if 0 in errors else ""
    markers = _choose_markers(points)
    only = f" of {points[0].row}" if len(markers) == 1 else ""
    panel = Panel(
        title="",
        alt=_describe(points, far),
        series=(*_draw_band(low, high), *_draw_points(points, markers)),
        labels=tuple(Label(p.paper, p.ours, p.method if only else f"{p.method}, {p.row}") for p in far),
    )
    shapes = markers if 1 < len(markers) == len(set(markers.values())) else {}
    heading = f"Every finished cell{only}{by} against the paper's number"
    return Figure(
        name=name,
        caption=f"{heading}, both axes logarithmic{edge}; grey: equality, and 3 points around it.",
        heading=heading,
        alt=panel.alt,
        chart=Chart(
            (panel,),
            make_log_axis(low, high, "the paper's test error, %"),
            make_log_axis(low, high, "ours, %"),
            tuple(KeyEntry("ours", row, line=False, marker=marker) for row, marker in shapes.items()),
            width=420,
            height=400,
        ),
    )


def _choose_markers(points: Sequence[_Point]) -> dict[str, Marker]:
    """Return a marker for each dataset; dots for all if there are more datasets than shapes."""
    datasets = list(dict.fromkeys(point.row for point in points))
    return dict(zip(datasets, MARKERS if len(datasets) <= len(MARKERS) else repeat("dot"), strict=False))


def _draw_points(points: Sequence[_Point], markers: Mapping[str, Marker]) -> Iterator[Series]:
    for row, marker in markers.items():
        own = [point for point in points if point.row == row]
        yield Series("ours", [p.paper for p in own], [p.ours for p in own], line=False, marker=marker)


def _points(tables: Sequence[FilledGrid]) -> list[_Point]:
    """Return the complete cells of one protocol, each once."""
    pairs = deduplicate(pair for filled in keep_one_copy(tables) for pair in pair_cells(filled))
    return [
        _Point(pair.key[1], pair.row.label, pair.cell.paper, pair.cell.error_percent)
        for pair in pairs
        if pair.cell.paper is not None and pair.cell.error_percent is not None
    ]


def _draw_band(low: float, high: float) -> Iterator[Series]:
    line = [low * (high / low) ** (k / 100) for k in range(101)]
    lower = [max(value - _BAND_POINTS, low) for value in line]
    yield Series("baseline", line, lower, upper=[value + _BAND_POINTS for value in line])
    yield Series("baseline", [low, high], [low, high])


def _describe(points: Sequence[_Point], far: Sequence[_Point]) -> str:
    """Return the plot in words."""
    near = sum(point.distance <= _BAND_POINTS for point in points)
    text = f"{near} of {len(points)} cells are within 3 points of the paper's"
    if not far:
        return f"{text}."
    names = (f"{point.method} on {point.row} {point.ours:.2f} against {point.paper:.2f}" for point in far)
    return f"{text}; furthest away: {', '.join(names)}."
