"""Another paper's printed numbers beside ours: a line for each curve, and all numbers."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from asymbp_cli.analysis.marks import ERROR, ComparedMark, compare_marks, find_marks
from asymbp_cli.analysis.tables import Epochs, FilledGrid
from asymbp_cli.report.document import Listing
from asymbp_cli.results.store import Store

_DIGITS = {ERROR: 2, "angle": 1, "norm-ratio": 2}


def compare_printed(filled: FilledGrid, store: Store, *, every: bool = True) -> list[Listing]:
    """Return how far a table agrees with what another paper printed of it; nothing if none did."""
    if not find_marks(filled.grid):
        return []
    return list(list_marks(filled, store.epochs(filled.grid.all_runs()), every=every))


def list_marks(filled: FilledGrid, epochs: Epochs, *, every: bool) -> Iterator[Listing]:
    """Yield how far each curve of a table of another paper agrees with what it printed; `every` number too."""
    for row in filled.grid.rows:
        compared = compare_marks(filled.grid, row, epochs)
        if not compared:
            continue
        agreeing = sum(mark.agrees for mark in compared)
        yield Listing(
            f"{filled.grid.title}: {agreeing} of {len(compared)} printed numbers agree on {row.label}",
            ("", "printed", "agree", "within", "largest difference", "at epoch", "last epoch", "theirs", "ours"),
            tuple(_sum_up(name, list(curve)) for name, curve in groupby(compared, _name)),
            ("Ours is the mean over seeds. Errors in percent and points, angles in degrees.",),
        )
        if every:
            yield Listing(
                f"{filled.grid.title}: every printed number",
                ("", "epoch", "theirs", "ours", "difference"),
                tuple(_describe(one) for one in compared),
                folded=True,
            )


def _name(compared: ComparedMark) -> str:
    mark = compared.mark
    return f"{mark.column}: {mark.measure.replace('-', ' ')}" + (f" in layer {mark.layer}" if mark.layer else "")


def _describe(compared: ComparedMark) -> tuple[str, ...]:
    theirs, ours = (_format(compared, value) for value in (compared.mark.value, compared.ours))
    return _name(compared), f"{compared.mark.epoch}", theirs, ours, _sign(compared)


def _sum_up(name: str, curve: Sequence[ComparedMark]) -> tuple[str, ...]:
    worst, last = max(curve, key=lambda one: abs(one.difference)), curve[-1]
    return (
        name,
        f"{len(curve)}",
        f"{sum(one.agrees for one in curve)}",
        f"{last.mark.tolerance:g}",
        _sign(worst),
        f"{worst.mark.epoch}",
        f"{last.mark.epoch}",
        _format(last, last.mark.value),
        _format(last, last.ours),
    )


def _format(compared: ComparedMark, value: float) -> str:
    return f"{value:.{_DIGITS.get(compared.mark.measure, 2)}f}"


def _sign(compared: ComparedMark) -> str:
    return f"{compared.difference:+z.{_DIGITS.get(compared.mark.measure, 2)}f}"
