"""The measures of each cell's selected run, by layer and epoch: angles, agreeing signs, and what was asked for."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from asymbp_cli.analysis.tables import Epochs, FilledGrid
from asymbp_cli.events import EpochEnded
from asymbp_cli.report.document import Figure
from asymbp_cli.report.figures.canvas import COLOUR_NAMES, COLOURS, GREY, MARKERS
from asymbp_cli.report.figures.panels import Panels, describe_table, draw_panels
from asymbp_cli.specs.measures import MEASURES, title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ALWAYS = ("angle", "agreement")  # drawn of every table
_CHANCE = {"angle": 90.0, "agreement": 0.5, "gradient-angle": 90.0}
_EXACT = {"angle": 0.0, "agreement": 1.0, "gradient-angle": 0.0}  # the value if V is W
_MARGIN = 1.05
Lines = Mapping[int, tuple[list[float], list[float]]]  # layer -> epochs, values


def draw_measures(filled: FilledGrid, i: int, epochs: Epochs, stem: str) -> Iterator[Figure]:
    """Draw the measures of a row's selected runs over epochs: angles, agreeing signs, and those asked for.

    A panel for each column, a line for each layer. Columns whose every value says that V is W are left out.
    """
    label = filled.grid.rows[i].label
    points = {j: epochs.get(cell.pick.run, ()) for j, cell in enumerate(filled.cells[i]) if cell.pick}
    for key in (*_ALWAYS, *_find_requested(points.values())):
        title = title_of(key)
        found = {j: _find_lines(of_run, key) for j, of_run in points.items()}
        lines = {j: of_run for j, of_run in found.items() if _tells(of_run, key)}
        if not lines:
            continue
        layers = sorted({layer for found in lines.values() for layer in found})
        ends = (
            f"{filled.grid.columns[j].header} {', '.join(f'{found[n][1][-1]:.3g}' for n in sorted(found))}"
            for j, found in lines.items()
        )
        chance = _CHANCE.get(key)
        yield draw_panels(
            filled,
            Panels(
                draw={j: _panel(found, layers, chance) for j, found in lines.items()},
                limits=_choose_limits(key, lines),
                x_label="epoch",
                y_label=title,
            ),
            name=f"{stem}-{key.replace('@', '-')}",
            caption=f"{title[0].upper()}{title[1:]}, on {label}, {describe_table(filled)}: of the run that the "
            f"rule selects. {_describe_layers(layers)}"
            + ("" if chance is None else " The dotted line is what chance gives."),
            alt=f"{title} on {label}, at the last epoch by layer. {'; '.join(ends)}.",
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


def _choose_limits(key: str, found: Mapping[int, Lines]) -> tuple[float, float]:
    """Return the ends of the vertical axis: all shares, all angles that occur, or from 0 to all values."""
    values = [value for lines in found.values() for _, of_layer in lines.values() for value in of_layer]
    if key == "agreement":
        return 0.0, 1.02
    if key.endswith("angle"):
        return 0.0, 100.0 if max(values) < 98 else 180.0
    return min(0.0, _MARGIN * min(values)), max(_MARGIN * max(values), 1e-9)


def _panel(lines: Lines, layers: Sequence[int], chance: float | None) -> Callable[["Axes"], None]:
    def draw(axes: "Axes") -> None:
        if chance is not None:
            axes.axhline(chance, color=GREY, linewidth=0.8, linestyle="dotted")
        for layer, (x, y) in lines.items():
            place = layers.index(layer)
            colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
            axes.plot(x, y, color=colour, marker=marker, markersize=3, markevery=[len(x) - 1])

    return draw


def _describe_layers(layers: Sequence[int]) -> str:
    named = (f"{layer} {COLOUR_NAMES[place % len(COLOURS)]}" for place, layer in enumerate(layers))
    whole = " (0: the whole network)" if 0 in layers else ""
    return f"Layers: {', '.join(named)}{whole}."
