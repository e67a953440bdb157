"""Figures of a report, drawn with matplotlib where their data are there: nothing is drawn from nothing."""

from collections.abc import Iterator, Mapping, Sequence

from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.events import EpochEnded
from asymbp_cli.report.figures.panels import learning_curves, rates
from asymbp_cli.report.figures.points import flips, ours_against_papers
from asymbp_cli.report.parts import Figure

Epochs = Mapping[str, Sequence[EpochEnded]]


def figures(tables: Sequence[FilledGrid], epochs: Epochs) -> tuple[Figure, ...]:
    """Return every figure that the tables and the stored epochs (by run id) allow.

    Per table and dataset: learning curves, error against learning rate, and error against the share of opposite
    signs where columns differ in it (Exp. B); over all tables: ours against the paper's.
    """
    drawn = [*ours_against_papers(tables), *_per_row(tables, epochs)]
    names: dict[str, int] = {}
    for figure in drawn:
        names[figure.name] = names.get(figure.name, 0) + 1
    if max(names.values(), default=1) > 1:
        raise ValueError(f"two figures have one name: {names}")
    return tuple(drawn)


def _per_row(tables: Sequence[FilledGrid], epochs: Epochs) -> Iterator[Figure]:
    for number, filled in enumerate(tables):
        for i in range(len(filled.grid.rows)):
            stem = f"{filled.grid.key}-{number + 1}-{i + 1}"
            yield from flips(filled, i, stem)
            yield from learning_curves(filled, i, epochs, stem)
            yield from rates(filled, i, epochs, stem)
