"""All rates of a table's cells: the error at each, and which were selected."""

from collections.abc import Iterator, Mapping, Sequence

from asymbp_cli.analysis.rates import RateOutcome, list_rates
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.recipe.grid import GridColumn
from asymbp_cli.report.document import Listing
from asymbp_cli.text import list_some

Line = tuple[str, ...]


def list_all_rates(filled: FilledGrid) -> list[Listing]:
    """Return the error of each cell at each rate multiplier, if any cell had a choice."""
    found = {
        (row.label, j): list_rates(cell)
        for row, cells in zip(filled.grid.rows, filled.cells, strict=True)
        for j, cell in enumerate(cells)
    }
    rates = sorted({one.rate_multiplier for outcomes in found.values() for one in outcomes})
    if all(len(outcomes) < 2 for outcomes in found.values()):
        return []
    columns = filled.grid.columns
    rows = [line for (label, j), outcomes in found.items() for line in _lines(label, columns[j], outcomes, rates)]
    header = ("error, %", *(f"x{rate:g}" for rate in rates))
    return [
        Listing(f"{filled.grid.title}: all rates", header, tuple(rows), tuple(_notes(filled, found)), folded=True)
    ]


def _lines(
    label: str, column: GridColumn, outcomes: Sequence[RateOutcome], rates: Sequence[float]
) -> Iterator[Line]:
    """Yield the line of each procedure of a cell."""
    count = len(column.entries)
    for procedure in range(count):
        own = {one.rate_multiplier: one for one in outcomes if one.procedure == procedure}
        if own:
            which = f", procedure {procedure + 1} of {count}" if count > 1 else ""
            yield (
                f"{label}: {column.header}{which}",
                *(_format(own[rate]) if rate in own else "-" for rate in rates),
            )


def _format(one: RateOutcome) -> str:
    """Return the error; in brackets if it was selected, with the number of seeds for which it was."""
    marks = ("=" if one.collapsed else "") + ("*" if one.diverged else "")
    text = f"[{one.median_percent:.2f}]{marks}" if one.selected else f"{one.median_percent:.2f}{marks}"
    return f"{text} {one.selected}" if one.selected and len(one.errors) > 1 else text


def _notes(filled: FilledGrid, found: Mapping[tuple[str, int], Sequence[RateOutcome]]) -> Iterator[str]:
    seeded = any(len(one.errors) > 1 for outcomes in found.values() for one in outcomes)
    counted = ", and for how many seeds" if seeded else ""
    yield (
        "Test error at each multiple of the base rate, in the epoch that the rule selects"
        f"{' (median over seeds)' if seeded else ''}. In brackets: selected for the cell{counted}."
    )
    everything = [one for outcomes in found.values() for one in outcomes]
    if any(one.collapsed for one in everything):
        yield "`=` collapsed: in that epoch a run answers every test sample with one class."
    if any(one.diverged for one in everything):
        yield "`*` a run diverged."
    columns = filled.grid.columns
    if ends := [f"{columns[j].header} on {label}" for (label, j), outcomes in found.items() if _is_end(outcomes)]:
        yield f"Best at the smallest or largest rate, so that one beyond may be better: {list_some(ends, 6)}."
    for column in columns:
        if len(column.entries) > 1 and column.note:
            yield f"{column.header}: {column.note}."


def _is_end(outcomes: Sequence[RateOutcome]) -> bool:
    """Return whether a cell is of the smallest or largest of three or more rates, and most of its runs live there.

    Of several seeds most decide.
    """
    rates = sorted({one.rate_multiplier for one in outcomes})
    ends = (rates[0], rates[-1]) if len(rates) > 2 else ()
    alive = [one for one in outcomes if 2 * (one.collapsed + one.diverged) < len(one.errors)]
    selected = sum(one.selected for one in alive if one.rate_multiplier in ends)
    return 2 * selected > sum(one.selected for one in outcomes)
