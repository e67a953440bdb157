"""Error against learning rate: of each run the test error that the rule selects."""

from collections.abc import Iterator, Sequence

from asymbp_cli.analysis.cells import Cell
from asymbp_cli.analysis.rates import RateOutcome, lowest_by_rate
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.report.charts.chart import Chart, KeyEntry, Panel, Series, make_error_axis, make_log_axis
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


def draw_rates(filled: FilledGrid, number: int, i: int) -> Iterator[Figure]:
    """Draw the error of each cell at each rate multiplier; rates at which runs died are crosses."""
    grid, row = filled.grid, filled.grid.rows[i]
    outcomes = {j: found for j, cell in enumerate(filled.cells[i]) if (found := lowest_by_rate(cell))}
    rates = sorted({one.rate_multiplier for found in outcomes.values() for one in found})
    if len(rates) < 2:
        return
    chance, baseline = find_chance(row), _draw_baseline(filled.baselines[i])
    panels = tuple(
        Panel(
            grid.columns[j].header,
            _describe(_find_selected(filled.cells[i][j], found)),
            (*(baseline if grid.is_comparable(grid.columns[j]) else ()), *_draw_cell(filled.cells[i][j], found)),
            find_levels(filled.cells[i][j], chance),
        )
        for j, found in outcomes.items()
    )
    errors = [y for panel in panels for one in panel.series for y in (*one.y, *one.upper)]
    papers = [cell.paper for cell in filled.cells[i] if cell.paper]
    y_axis = make_error_axis(include_chance([*errors, *papers], chance))
    seeded = any(len(one.errors) > 1 for found in outcomes.values() for one in found)
    dead = any(one.dead for found in outcomes.values() for one in found)
    heading = f"Error against learning rate on {row.label}"
    yield Figure(
        name=name_figure(filled, number, i, "rates"),
        caption=f"{heading}, {describe_table(filled)}: of each run the test "
        f"error that the rule selects{', the median over seeds' if seeded else ''}."
        f"{describe_chance(chance, y_axis.high)}",
        alt=f"Test error of each method on {row.label} at the rate that the rule selects. "
        f"{'; '.join(f'{panel.title} {panel.alt}' for panel in panels)}.",
        chart=Chart(
            panels,
            make_log_axis(rates[0] / 1.3, rates[-1] * 1.3, "learning rate, times the base rate", rates),
            y_axis,
            (
                KeyEntry("ours", "ours, selected rate", marker="dot"),
                *list_band_key(seeded=seeded),
                *([KeyEntry("dead", "diverged or collapsed", line=False, marker="cross")] if dead else ()),
                *list_reference_key(filled, papers, chance, y_axis),
            ),
        ),
        table=number,
        dataset=row.label,
        heading=heading,
    )


def _draw_baseline(cell: Cell | None) -> tuple[Series, ...]:
    found = lowest_by_rate(cell) if cell else []
    return (Series("baseline", *_medians(found)),) if found else ()


def _draw_cell(cell: Cell, outcomes: Sequence[RateOutcome]) -> Iterator[Series]:
    """Yield the band over seeds, the medians, a dot at the selected rate, and crosses at those of dead runs."""
    rates, medians = _medians(outcomes)
    if any(len(one.errors) > 1 for one in outcomes):
        lowest, highest = ([one.errors[end] for one in outcomes] for end in (0, -1))
        yield Series("ours", rates, lowest, upper=highest)
    yield Series("ours", rates, medians)
    yield Series("ours", *_medians([_find_selected(cell, outcomes)]), line=False, marker="dot")
    if dead := [one for one in outcomes if one.dead]:
        yield Series("dead", *_medians(dead), line=False, marker="cross")


def _medians(outcomes: Sequence[RateOutcome]) -> tuple[list[float], list[float]]:
    return [one.rate_multiplier for one in outcomes], [one.median_percent for one in outcomes]


def _find_selected(cell: Cell, outcomes: Sequence[RateOutcome]) -> RateOutcome:
    """Return the outcome at the rate that the rule selects, for the median seed."""
    assert cell.pick
    rate = cell.pick.rate_multiplier
    return next(one for one in outcomes if one.rate_multiplier == rate)


def _describe(selected: RateOutcome) -> str:
    return f"{selected.median_percent:.2f} % at x{selected.rate_multiplier:g}"
