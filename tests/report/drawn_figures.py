"""Trained grids whose figures are known."""

from collections.abc import Sequence

from sample_tables import make_epoch, make_grid

from asymbp_cli.analysis.tables import FilledGrid, fill_grid
from asymbp_cli.events import EpochEnded
from asymbp_cli.report.document import Figure

Epochs = dict[str, list[EpochEnded]]


def trained(*methods: str, epochs: int = 3, headers: Sequence[str] = ()) -> tuple[FilledGrid, Epochs]:
    """Return a grid of two rates a column whose errors fall by epoch; run k of all starts at 10 (k + 1) %."""
    grid = make_grid(*methods)
    if headers:
        named = [c.model_copy(update={"header": h}) for c, h in zip(grid.columns, headers, strict=True)]
        grid = grid.model_copy(update={"columns": tuple(named), "baseline": named[0]})
    runs = list(grid.all_runs())
    found = {
        run: [make_epoch(run, e, 100 * (k + 1) - 10 * e) for e in range(1, epochs + 1)]
        for k, run in enumerate(runs)
    }
    return fill_grid(grid, found, dict.fromkeys(runs, "finished"), {}), found


def names(drawn: Sequence[Figure]) -> list[str]:
    return [figure.name for figure in drawn]


Points = tuple[str, list[float], list[float]]


def plotted(drawn: Sequence[Figure], ending: str) -> list[Points]:
    """Return look and points of every series in the figure whose name ends so."""
    (figure,) = [figure for figure in drawn if figure.name.endswith(ending)]
    return [
        (one.look, list(map(float, one.x)), list(map(float, one.y)))
        for panel in figure.chart.panels
        for one in panel.series
    ]
