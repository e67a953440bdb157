"""The footnotes of a table: each function writes one, if the table's cells need it."""

from collections.abc import Callable, Iterator

from asymbp_cli.analysis.tables import Cell, FilledGrid
from asymbp_cli.report.cells import has_paper


def write_footnotes(filled: FilledGrid) -> tuple[str, ...]:
    """Return the footnotes that this table's cells need, and no others."""
    notes = [note for write in _FOOTNOTES if (note := write(filled))]
    return (*notes, *_names(filled))


def _cells(filled: FilledGrid) -> list[Cell]:
    return [cell for cells in filled.cells for cell in cells]


def _rule(filled: FilledGrid) -> str:
    grid = filled.grid
    rule = (
        "Test error in percent of the epoch whose validation error is lowest, over all epochs of all runs of "
        "a cell"
        if grid.validation_fraction
        else "Test error in percent: the lowest over all epochs of all runs of a cell (the paper's rule, "
        "which picks on the test set)"
    )
    return f"{rule}. Protocol: {grid.protocol_label}; seeds: {', '.join(map(str, grid.seeds))}."


def _seeds(filled: FilledGrid) -> str | None:
    seed_count = len(filled.grid.seeds)
    if seed_count == 1:
        return None
    fewest = min((len(cell.picks) for cell in _cells(filled) if cell.wanted), default=seed_count)
    seeds = f"{seed_count}" if fewest == seed_count else f"{fewest} to {seed_count}"
    return f"Each cell is the median over n = {seeds} seeds, with its lowest and highest value."


def _other_protocol(filled: FilledGrid) -> str | None:
    label = filled.grid.protocol_label
    if label == "paper" or not has_paper(_cells(filled)):
        return None
    return f"The paper's numbers come from its own protocol of 65 epochs, ours from {label}."


def _colours(filled: FilledGrid) -> str | None:
    baseline = filled.grid.baseline
    if baseline is None or not any(cell.colour or cell.paper_colour for cell in _cells(filled)):
        return None
    has_column = any(column.header == baseline.header for column in filled.grid.columns)
    where = "" if has_column else " (trained for this comparison, no column here)"
    return (
        f"Yellow: worse than {baseline.header}{where} on the same data by 3 points or more; blue: better "
        "by 3 or more."
    )


def _collapsed(filled: FilledGrid) -> str | None:
    if not any(cell.collapsed for cell in _cells(filled)):
        return None
    return "`=` collapsed: the best epoch answers every test sample with one class."


def _diverged(filled: FilledGrid) -> str | None:
    cells = [cell for cell in _cells(filled) if cell.diverged]
    if not cells:
        return None
    diverged, ended = sum(cell.diverged for cell in cells), sum(cell.ended for cell in cells)
    return f"`*` some runs diverged ({diverged} of {ended} in this table) and count as the first class."


def _unfinished(filled: FilledGrid) -> str | None:
    cells = _cells(filled)
    if all(cell.complete or not cell.wanted for cell in cells):
        return None
    ended, wanted = sum(cell.ended for cell in cells), sum(cell.wanted for cell in cells)
    return (
        f"`~` unfinished, `-` not run yet: {ended} of {wanted} runs are done. Rerun the same command to continue."
    )


def _missing_datasets(filled: FilledGrid) -> str | None:
    labels = [row.label for row in filled.grid.rows if row.dataset is None]
    return f"`-` dataset not available: {', '.join(labels)} (asymbp ls datasets)." if labels else None


_FOOTNOTES: tuple[Callable[[FilledGrid], str | None], ...] = (
    _rule,
    _seeds,
    _other_protocol,
    _colours,
    _collapsed,
    _diverged,
    _unfinished,
    _missing_datasets,
)


def _names(filled: FilledGrid) -> Iterator[str]:
    """Yield the notes of columns and rows."""
    for column in filled.grid.columns:
        if column.note:
            yield f"{column.header}: {column.note}."
    for row in filled.grid.rows:
        if row.note:
            yield f"{row.label}: {row.note}."
