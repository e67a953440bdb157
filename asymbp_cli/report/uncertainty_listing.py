"""How sure a table's errors are, and their differences to the baseline; with several seeds, paired over these."""

from collections.abc import Iterator

from asymbp_cli.analysis.cells import Cell
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.analysis.uncertainty import CONFIDENCE, Difference
from asymbp_cli.report.document import Listing

Line = tuple[str, ...]
_TEST_SET = (
    "Standard errors are binomial, from the size of the test set. That of a difference takes both errors as "
    "independent, which is on the safe side: methods err on the same samples."
)
_SEEDS = (
    "Differences are means over n = {seeds} seeds, paired by seed, and their standard error also has the part "
    "that comes from seeds. Intervals (Student's t over seeds) hold with {confidence:.0%} for all columns of a "
    "dataset together (Bonferroni); they say nothing about other test sets."
)


def list_uncertainty(filled: FilledGrid) -> list[Listing]:
    """Return the standard errors of a table's cells, and the differences to its baseline, if it has any number."""
    rows = [line for row in range(len(filled.cells)) for line in _lines(filled, row)]
    if not rows:
        return []
    header = ("points", *(column.header for column in filled.grid.columns))
    seeds = [difference.seeds for cells in filled.cells for difference in _differences(cells)]
    notes = [_TEST_SET]
    if max(seeds, default=1) > 1:
        notes.append(_SEEDS.format(seeds=min(seeds), confidence=CONFIDENCE))
    return [Listing(f"{filled.grid.title}: uncertainty", header, tuple(rows), tuple(notes))]


def _lines(filled: FilledGrid, row: int) -> Iterator[Line]:
    """Yield the lines of one dataset."""
    label, cells = filled.grid.rows[row].label, filled.cells[row]
    if not any(cell.picks for cell in cells):
        return
    errors = [cell.standard_error for cell in cells]
    yield f"{label}: standard error", *("-" if error is None else f"{error:.2f}" for error in errors)
    found = _differences(cells)
    if filled.grid.baseline is None or not found:
        return
    baseline = filled.grid.baseline.header
    yield f"{label}: minus {baseline}", *(_text(c.difference, "{0.points:+.2f}") for c in cells)
    yield f"{label}: its standard error", *(_text(c.difference, "{0.standard_error:.2f}") for c in cells)
    if any(difference.seeds > 1 for difference in found):
        yield f"{label}: its interval", *(_interval(c.difference, len(found)) for c in cells)


def _differences(cells: tuple[Cell, ...]) -> list[Difference]:
    return [cell.difference for cell in cells if cell.difference]


def _text(difference: Difference | None, form: str) -> str:
    return "-" if difference is None else form.format(difference)


def _interval(difference: Difference | None, comparisons: int) -> str:
    bounds = difference.interval(comparisons) if difference else None
    return "-" if bounds is None else f"{bounds[0]:+.2f} to {bounds[1]:+.2f}"
