"""How sure the differences to the baseline are; with several seeds, paired over these."""

from collections.abc import Iterator

from asymbp_cli.analysis.cells import Cell
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.analysis.uncertainty import CONFIDENCE, FEWEST_SEEDS, Difference
from asymbp_cli.report.document import Listing
from asymbp_cli.text import count

Line = tuple[str, ...]
_TEST_SET = (
    "The standard error of a difference takes both errors as independent. With one seed it counts the size of the "
    "test set only."
)
_SEEDS = (
    "Differences are means over n = {seeds}, paired by seed, and their standard error also has the part "
    "that comes from seeds. It decides what is hollow; colours compare medians. A colour is hollow, too, if the "
    "mean differs in the other direction."
)
_TOO_FEW = "Fewer than {fewest} seeds are too few for an interval."
_INTERVALS = (
    "Intervals (Student's t over seeds) hold with {confidence:.0%} for all columns of a dataset together "
    "(Bonferroni), while colours use two standard errors for each column. They say nothing about other test sets."
)


def list_uncertainty(filled: FilledGrid) -> list[Listing]:
    """Return the differences of a table's cells to its baseline, with their standard errors, if there are any."""
    rows = [line for row in range(len(filled.cells)) for line in _lines(filled, row)]
    if not rows:
        return []
    header = ("points", *(column.header for column in filled.grid.columns))
    notes = tuple(_notes(len(filled.grid.seeds)))
    return [Listing(f"{filled.grid.title}: uncertainty", header, tuple(rows), notes, folded=True)]


def _notes(seeds: int) -> Iterator[str]:
    """Yield the notes of a table with so many seeds, all of which the cells have that are compared."""
    yield _TEST_SET
    if seeds == 1:
        return
    yield _SEEDS.format(seeds=count(seeds, "seed"))
    if seeds < FEWEST_SEEDS:
        yield _TOO_FEW.format(fewest=FEWEST_SEEDS)
    else:
        yield _INTERVALS.format(confidence=CONFIDENCE)


def _lines(filled: FilledGrid, row: int) -> Iterator[Line]:
    """Yield the lines of one dataset."""
    label, cells = filled.grid.rows[row].label, filled.cells[row]
    found = _differences(cells)
    if filled.grid.baseline is None or not found:
        return
    baseline = filled.grid.baseline.header
    yield f"{label}: minus {baseline}", *(_text(c.difference, "{0.points:+z.2f}") for c in cells)
    yield f"{label}: its standard error", *(_text(c.difference, "{0.standard_error:.2f}") for c in cells)
    if len(filled.grid.seeds) >= FEWEST_SEEDS:
        yield f"{label}: its interval", *(_interval(c.difference, len(found)) for c in cells)


def _differences(cells: tuple[Cell, ...]) -> list[Difference]:
    return [cell.difference for cell in cells if cell.difference]


def _text(difference: Difference | None, form: str) -> str:
    return "-" if difference is None else form.format(difference)


def _interval(difference: Difference | None, comparisons: int) -> str:
    bounds = difference.interval(comparisons) if difference else None
    return "-" if bounds is None else f"{bounds[0]:+z.2f} to {bounds[1]:+z.2f}"
