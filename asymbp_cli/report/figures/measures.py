"""How much V is like W: angles and agreeing signs of each cell's selected run, by layer, epoch by epoch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from asymbp_cli.analysis.tables import Epochs, FilledGrid
from asymbp_cli.events import EpochEnded
from asymbp_cli.report.document import Figure
from asymbp_cli.report.figures.canvas import COLOUR_NAMES, COLOURS, GREY, MARKERS
from asymbp_cli.report.figures.panels import Panels, describe_table, draw_panels
from asymbp_cli.specs.measures import MEASURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CHANCE = {"angle": 90.0, "agreement": 0.5}
Lines = Mapping[int, tuple[list[float], list[float]]]  # layer -> epochs, values


def draw_measures(filled: FilledGrid, i: int, epochs: Epochs, stem: str) -> Iterator[Figure]:
    """Draw the angles between V and W, and their agreeing signs, of a row's selected runs over epochs.

    A panel for each column whose V is not W, a line for each layer.
    """
    label = filled.grid.rows[i].label
    for key, chance in _CHANCE.items():
        title = MEASURES[key].title
        lines = {
            j: found
            for j, cell in enumerate(filled.cells[i])
            if cell.pick and (found := _find_lines(epochs.get(cell.pick.run, ()), key)) and _tells(found, key)
        }
        if not lines:
            continue
        layers = sorted({layer for found in lines.values() for layer in found})
        ends = (
            f"{filled.grid.columns[j].header} {', '.join(f'{found[n][1][-1]:.3g}' for n in sorted(found))}"
            for j, found in lines.items()
        )
        yield draw_panels(
            filled,
            Panels(
                draw={j: _panel(found, layers, chance) for j, found in lines.items()},
                limits=_choose_limits(key, lines),
                x_label="epoch",
                y_label=title,
            ),
            name=f"{stem}-{key}",
            caption=f"{title[0].upper()}{title[1:]}, on {label}, {describe_table(filled)}: of the run that the "
            f"rule selects. {_describe_layers(layers)} The dotted line is what chance gives.",
            alt=f"{title} on {label}, at the last epoch by layer. {'; '.join(ends)}.",
        )


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
    """Return whether any value is not that of a V that is W."""
    exact = {"angle": 0.0, "agreement": 1.0}[key]
    return any(abs(value - exact) > 1e-3 for _, values in lines.values() for value in values)


def _choose_limits(key: str, found: Mapping[int, Lines]) -> tuple[float, float]:
    """Return the ends of the vertical axis: all shares, or all angles that occur."""
    if key == "agreement":
        return 0.0, 1.02
    highest = max(value for lines in found.values() for _, values in lines.values() for value in values)
    return 0.0, 100.0 if highest < 98 else 180.0


def _panel(lines: Lines, layers: Sequence[int], chance: float) -> Callable[["Axes"], None]:
    def draw(axes: "Axes") -> None:
        axes.axhline(chance, color=GREY, linewidth=0.8, linestyle="dotted")
        for layer, (x, y) in lines.items():
            place = layers.index(layer)
            colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
            axes.plot(x, y, color=colour, marker=marker, markersize=3, markevery=[len(x) - 1])

    return draw


def _describe_layers(layers: Sequence[int]) -> str:
    named = (f"{layer} {COLOUR_NAMES[place % len(COLOURS)]}" for place, layer in enumerate(layers))
    return f"Layers: {', '.join(named)}."
