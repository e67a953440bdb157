"""Learning curves: the errors of each cell's selected run, epoch by epoch, and their spread over seeds."""

from collections.abc import Iterator, Sequence

from asymbp_cli.analysis.cells import Cell, Pick
from asymbp_cli.analysis.tables import Epochs, FilledGrid
from asymbp_cli.events import EpochEnded
from asymbp_cli.report.charts.chart import Axis, Chart, KeyEntry, Panel, Series, make_error_axis, make_linear_axis
from asymbp_cli.report.document import Figure
from asymbp_cli.report.figures.parts import (
    describe_chance,
    describe_table,
    find_chance,
    find_levels,
    include_chance,
    list_band_key,
    list_reference_key,
    name_figure,
)

Curve = tuple[list[float], list[float]]  # epochs, errors in percent
_MEDIAN_SEED = ", of the median seed, or of the better one if two are in the middle"


def draw_learning_curves(filled: FilledGrid, number: int, i: int, epochs: Epochs) -> Iterator[Figure]:
    """Draw training and test error of each cell's selected run over its epochs, the baseline's in grey."""
    grid, label = filled.grid, filled.grid.rows[i].label
    cells = {j: cell for j, cell in enumerate(filled.cells[i]) if cell.pick and epochs.get(cell.pick.run)}
    last = max((len(epochs[cell.pick.run]) for cell in cells.values() if cell.pick), default=0)
    if last < 2:
        return
    chance, baseline = find_chance(filled.grid.rows[i]), _draw_baseline(filled.baselines[i], epochs)
    panels = tuple(
        Panel(
            grid.columns[j].header,
            _describe(cell),
            (*(baseline if grid.is_comparable(grid.columns[j]) else ()), *_draw_cell(cell, epochs)),
            find_levels(cell, chance),
        )
        for j, cell in cells.items()
    )
    tested = [
        y for panel in panels for one in panel.series if one.look != "training" for y in (*one.y, *one.upper)
    ]
    papers = [cell.paper for cell in cells.values() if cell.paper]
    y_axis = make_error_axis(include_chance([*tested, *papers], chance), "error, %")
    seeded = any(len(cell.picks) > 1 for cell in cells.values())
    heading = f"Learning curves on {label}"
    yield Figure(
        name=name_figure(filled, number, i, "learning-curves"),
        caption=f"{heading}, {describe_table(filled)}: of the run that the rule selects"
        f"{_MEDIAN_SEED if seeded else ''}. {_describe_training(panels, y_axis)}."
        f"{describe_chance(chance, y_axis.high)}",
        alt=f"{heading}. {'; '.join(f'{panel.title} {panel.alt}' for panel in panels)}.",
        chart=Chart(
            panels,
            make_linear_axis(1, last, "epoch", whole=True),
            y_axis,
            (
                KeyEntry("ours", "test, selected epoch", marker="dot"),
                *list_band_key(seeded=seeded),
                KeyEntry("training", "training"),
                *list_reference_key(filled, papers, chance, y_axis),
            ),
        ),
        table=number,
        dataset=label,
        heading=heading,
    )


def _describe_training(panels: Sequence[Panel], y_axis: Axis) -> str:
    """Return a note on training errors, with the places of those beyond the axis of test errors."""
    training = [y for panel in panels for one in panel.series if one.look == "training" for y in one.y]
    told = "Training error is counted while weights move"
    return told if all(map(y_axis.shows, training)) else f"{told}; beyond the axis it is at its edge"


def _draw_baseline(cell: Cell | None, epochs: Epochs) -> tuple[Series, ...]:
    points = epochs.get(cell.pick.run, ()) if cell and cell.pick else ()
    return (Series("baseline", *_test_curve(points)),) if points else ()


def _draw_cell(cell: Cell, epochs: Epochs) -> Iterator[Series]:
    """Yield the band over seeds, the training error, the test error, and a dot at the selected epoch."""
    assert cell.pick
    yield from _draw_band([_test_curve(epochs.get(pick.run, ())) for pick in cell.picks])
    own = epochs[cell.pick.run]
    trained = [(float(p.epoch), 100 * p.train_wrong / p.train_seen) for p in own if p.train_seen]
    yield Series("training", [x for x, _ in trained], [y for _, y in trained])
    yield Series("ours", *_test_curve(own))
    yield Series("ours", [cell.pick.epoch], [cell.pick.error_percent], line=False, marker="dot")


def _draw_band(curves: Sequence[Curve]) -> Iterator[Series]:
    """Yield the band from the lowest to the highest seed, over the epochs that all seeds have."""
    if len(curves) < 2:
        return
    by_seed = [dict(zip(*curve, strict=True)) for curve in curves]
    common = [epoch for epoch in curves[0][0] if all(epoch in seed for seed in by_seed)]
    errors = [[seed[epoch] for seed in by_seed] for epoch in common]
    if len(common) > 1:
        yield Series("ours", common, list(map(min, errors)), upper=list(map(max, errors)))


def _test_curve(points: Sequence[EpochEnded]) -> Curve:
    return [p.epoch for p in points], [p.test_percent for p in points]


def _describe(cell: Cell) -> str:
    pick: Pick | None = cell.pick
    assert pick
    spread = (
        f", {len(cell.picks)} seeds from {cell.picks[0].error_percent:.2f} to {cell.picks[-1].error_percent:.2f} %"
    )
    return f"{pick.error_percent:.2f} % in epoch {pick.epoch}" + (spread if len(cell.picks) > 1 else "")
