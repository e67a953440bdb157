"""The measures of each cell's selected run, by layer and epoch: angles, agreeing signs, and what was asked for."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from asymbp_cli.analysis.tables import Epochs, FilledGrid
from asymbp_cli.events import EpochEnded
from asymbp_cli.report.charts.chart import Axis, Chart, KeyEntry, Panel, Series, make_linear_axis
from asymbp_cli.report.document import Figure
from asymbp_cli.report.figures.parts import CHANCE_KEY, describe_table, name_figure
from asymbp_cli.specs.measures import MEASURES, title_of

_ALWAYS = ("angle", "agreement")  # drawn of every table
_CHANCE = {"angle": 90.0, "agreement": 0.5, "gradient-angle": 90.0}
_EXACT = {"angle": 0.0, "agreement": 1.0, "gradient-angle": 0.0}  # the value if V is W
_MARGIN = 1.05
Lines = Mapping[int, tuple[list[float], list[float]]]  # layer -> epochs, values


def draw_measures(filled: FilledGrid, number: int, i: int, epochs: Epochs) -> Iterator[Figure]:
    """Draw the measures of a row's selected runs over epochs: angles, agreeing signs, and those asked for.

    A panel for each column, a line for each layer. Columns whose every value says that V is W are left out.
    """
    label = filled.grid.rows[i].label
    points = {j: epochs.get(cell.pick.run, ()) for j, cell in enumerate(filled.cells[i]) if cell.pick}
    for key in (*_ALWAYS, *_find_requested(points.values())):
        title, chance = title_of(key), _CHANCE.get(key)
        found = {j: _find_lines(of_run, key) for j, of_run in points.items()}
        lines = {j: of_run for j, of_run in found.items() if _tells(of_run, key)}
        if not lines:
            continue
        panels = tuple(
            Panel(
                filled.grid.columns[j].header,
                ", ".join(f"{lines_of[n][1][-1]:.3g}" for n in sorted(lines_of)),
                tuple(Series("ours", *line, label=f"{layer}") for layer, line in lines_of.items()),
                (("chance", chance),) if chance is not None else (),
            )
            for j, lines_of in lines.items()
        )
        heading = f"{title[0].upper()}{title[1:]}, on {label}"
        yield Figure(
            name=name_figure(filled, number, i, key),
            caption=f"{heading}, {describe_table(filled)}: of the run that the "
            f"rule selects. A line's number is its layer{_describe_whole(lines)}.",
            alt=f"{title} on {label}, at the last epoch by layer. "
            f"{'; '.join(f'{panel.title} {panel.alt}' for panel in panels)}.",
            chart=Chart(
                panels,
                make_linear_axis(1, _find_last(lines), "epoch", whole=True),
                _make_axis(key, title, lines),
                (KeyEntry("ours", "a layer"), *([CHANCE_KEY] if chance is not None else ())),
                right=22,
            ),
            table=number,
            dataset=label,
            heading=heading,
        )


def _find_requested(runs: Iterable[Sequence[EpochEnded]]) -> list[str]:
    """Return the measures in these epochs that are made on request only."""
    keys = {key for points in runs for point in points for key in point.measures}
    return sorted(key for key in keys if key not in MEASURES or MEASURES[key].cost)


def _find_lines(points: Sequence[EpochEnded], key: str) -> Lines:
    """Return the values of a measure over epochs, by layer, of a run with two epochs or more."""
    lines: dict[int, tuple[list[float], list[float]]] = {}
    for point in points:
        for layer, value in point.measures.get(key, {}).items():
            if value is not None:
                x, y = lines.setdefault(layer, ([], []))
                x.append(point.epoch)
                y.append(value)
    return {layer: line for layer, line in lines.items() if len(line[0]) > 1}


def _tells(lines: Lines, key: str) -> bool:
    """Return whether there are values, and any is not that of a V that is W."""
    exact = _EXACT.get(key, math.inf)
    return any(abs(value - exact) > 1e-3 for _, values in lines.values() for value in values)


def _find_last(found: Mapping[int, Lines]) -> float:
    return max(x[-1] for lines in found.values() for x, _ in lines.values())


def _make_axis(key: str, title: str, found: Mapping[int, Lines]) -> Axis:
    """Return the vertical axis: all shares, all angles that occur, or from 0 to all values."""
    values = [value for lines in found.values() for _, of_layer in lines.values() for value in of_layer]
    if key == "agreement":
        return Axis(title, 0.0, 1.02, (0.0, 0.25, 0.5, 0.75, 1.0))
    if key.endswith("angle"):
        high = 100.0 if max(values) < 98 else 180.0
        return Axis(title, 0.0, high, (0.0, 30.0, 60.0, 90.0) if high == 100 else (0.0, 45.0, 90.0, 135.0, 180.0))
    return make_linear_axis(min(0.0, _MARGIN * min(values)), max(_MARGIN * max(values), 1e-9), title)


def _describe_whole(found: Mapping[int, Lines]) -> str:
    return ", 0 the whole network" if any(0 in lines for lines in found.values()) else ""
