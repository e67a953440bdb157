"""Figures of a report. Without data for a figure, there is no figure.

A file for each kind makes charts from tables; `report/charts` draws them.
"""

from collections.abc import Iterator, Sequence

from asymbp_cli.analysis.tables import Epochs, FilledGrid
from asymbp_cli.report.document import Figure
from asymbp_cli.report.figures.learning_curves import draw_learning_curves
from asymbp_cli.report.figures.measures import draw_measures
from asymbp_cli.report.figures.opposite_signs import draw_opposite_signs
from asymbp_cli.report.figures.rates import draw_rates
from asymbp_cli.report.figures.scatter import draw_scatter


def draw_figures(tables: Sequence[FilledGrid], epochs: Epochs) -> tuple[Figure, ...]:
    """Return every figure that the tables and the epochs of their selected runs (by run id) allow.

    Over all tables: ours against the paper's. Per table and dataset: error against the share of opposite signs
    (Exp. B), learning curves, error against learning rate, and angles and agreeing signs of V and W.
    """
    figures = (*draw_scatter(tables), *_draw_rows(tables, epochs))
    names = [figure.name for figure in figures]
    if len(set(names)) < len(names):
        raise ValueError(f"two figures have the same name: {sorted(names)}")
    return figures


def _draw_rows(tables: Sequence[FilledGrid], epochs: Epochs) -> Iterator[Figure]:
    for number, filled in enumerate(tables):
        for i in range(len(filled.grid.rows)):
            yield from draw_opposite_signs(filled, number, i)
            yield from draw_learning_curves(filled, number, i, epochs)
            yield from draw_rates(filled, number, i)
            yield from draw_measures(filled, number, i, epochs)
