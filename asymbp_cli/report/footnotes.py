"""The footnotes of a table: each function writes one, if the table's cells need it."""

from collections.abc import Callable, Iterator, Sequence
from statistics import mean

from asymbp_cli.analysis.cells import POINTS, Cell
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.analysis.uncertainty import samples_of
from asymbp_cli.recipe.labels import name_data
from asymbp_cli.report.cells import has_paper
from asymbp_cli.text import list_some

_MOST_DATASETS = 4  # that a note tells of one by one


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
    first = "the lowest validation loss, if it was stored, then to " if grid.validation_fraction else ""
    ties = f"Ties go to {first}the largest rate, then to the earliest epoch."
    return f"{rule}. {ties} Protocol: {grid.protocol_label}; seeds: {', '.join(map(str, grid.seeds))}."


def _picked_on(filled: FilledGrid) -> str | None:
    sizes = {pick.held_out for cell in _cells(filled) for pick in cell.picks} - {0}
    if not sizes:
        return None
    span = " to ".join(f"{size:,}" for size in sorted({min(sizes), max(sizes)}))
    return f"Rate and epoch are picked on {span} held-out samples of each dataset."


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
    headers = [column.header for column in filled.grid.columns if column.entries == baseline.entries]
    where = f" (the column {headers[0]})" if headers else " (trained for this comparison, no column here)"
    if baseline.header in headers:
        where = ""
    others = [column.header for column in filled.grid.columns if not filled.grid.is_comparable(column)]
    without = f" Not compared, since epochs differ: {list_some(others)}." if others else ""
    return (
        f"Yellow: worse than {baseline.header}{where} on the same data by 3 points or more; blue: better "
        f"by 3 or more.{without}"
    )


def _hollow(filled: FilledGrid) -> str | None:
    cells = _cells(filled)
    ours = [cell.hollow for cell in cells if cell.colour]
    papers = [cell.paper_hollow for cell in cells if cell.paper_colour]
    if not any(ours) and not any(papers):
        return None
    sides = ((ours, "of ours"), (papers, "of the paper's"))
    counts = ", ".join(f"{sum(hollow)} of {len(hollow)} {whose}" for hollow, whose in sides if hollow)
    return f"△ and ▽, hollow: a colour that rests on a difference of less than two standard errors ({counts})."


def _standard_errors(filled: FilledGrid) -> str | None:
    """Return the standard errors on each dataset, and of how many test samples 3 points consist.

    Of many datasets it names those with the smallest and the largest test set.
    """
    rows = [
        (row.label, [cell for cell in cells if cell.picks])
        for row, cells in zip(filled.grid.rows, filled.cells, strict=True)
    ]
    rows = sorted((row for row in rows if row[1]), key=lambda row: _test_count(row[1]))
    if not rows:
        return None
    few = rows if len(rows) <= _MOST_DATASETS else [rows[0], rows[-1]]
    between = "" if len(few) == len(rows) else "; the other test sets are between"
    texts = "; ".join(_row_errors(label, cells) for label, cells in few)
    return f"Standard errors (binomial, on the test set): {texts}{between}."


def _coverage(filled: FilledGrid) -> str | None:
    """Return the limits of the standard errors, if there are any."""
    if not any(cell.picks for cell in _cells(filled)):
        return None
    seeds = "seeds (there is one)" if len(filled.grid.seeds) == 1 else "seeds (the range shows it)"
    chosen = "" if filled.grid.validation_fraction else ", the choice of rate and epoch on the test set,"
    return (
        f"They cover the size of the test set alone, not the spread over {seeds}{chosen} or what "
        "another test set would give."
    )


def _test_count(cells: Sequence[Cell]) -> int:
    return cells[0].picks[0].seen


def _row_errors(label: str, cells: Sequence[Cell]) -> str:
    errors = [cell.standard_error for cell in cells if cell.standard_error is not None]
    seen = _test_count(cells)
    span = " to ".join(dict.fromkeys(f"{error:.2f}" for error in (min(errors), max(errors))))
    share = f"{POINTS * seen / 100:,.2f}".rstrip("0").rstrip(".")
    fewest = f"{samples_of(POINTS, seen):,}"
    least = "" if share == fewest else f" (so at least {fewest})"
    return f"{label} {span} points, where {POINTS:g} points are {share} of {seen:,} samples{least}"


def _last_epoch(filled: FilledGrid) -> str | None:
    known = [cell.last_percent is not None for cell in _cells(filled) if cell.picks]
    if not any(known):
        return None
    picked = "" if all(known) else " (`-` if that is the picked one)"
    note = f"Last epoch: the test error of the same runs after their last epoch{picked}."
    if filled.grid.validation_fraction:
        return note
    return f"{note} That epoch is not picked on the test set; the rate still is."


def _held_out(filled: FilledGrid) -> str | None:
    changes = [cell.rule_difference for cell in _cells(filled) if cell.rule_difference is not None]
    if not changes:
        return None
    return (
        "Held-out rule: its test error minus that of the paper's rule, in points, over the seeds that both have. "
        "It is what selecting on the test set is worth, plus what a smaller training set costs: "
        f"{min(changes):+z.2f} to {max(changes):+z.2f}, mean {mean(changes):+z.2f}."
    )


def _unequal_budgets(filled: FilledGrid) -> str | None:
    """Return how many runs cells are picked from, if some have more than others."""
    counts = sorted({cell.wanted // len(filled.grid.seeds) for cell in _cells(filled) if cell.wanted})
    if len(counts) < 2:
        return None
    return f"Cells are picked from {' or '.join(map(str, counts))} runs per seed: more runs are more chances."


def _collapsed(filled: FilledGrid) -> str | None:
    if not any(cell.collapsed for cell in _cells(filled)):
        return None
    return "`=` collapsed: the best epoch answers every test sample with one class."


def _diverged(filled: FilledGrid) -> str | None:
    cells = [cell for cell in _cells(filled) if cell.diverged]
    if not cells:
        return None
    diverged, ended = sum(cell.diverged for cell in cells), sum(cell.ended for cell in cells)
    runs = f"{diverged} of the {ended} runs of the marked cells"
    return f"`*` some runs diverged ({runs}) and count as the first class."


def _unfinished(filled: FilledGrid) -> str | None:
    cells = _cells(filled)
    if all(cell.complete or not cell.wanted for cell in cells):
        return None
    ended, wanted = sum(cell.ended for cell in cells), sum(cell.wanted for cell in cells)
    return (
        f"`~` unfinished, `-` not run yet: {ended} of {wanted} runs are done. Rerun the same command to "
        "continue, without --shard if it has one."
    )


def _early_statistics(filled: FilledGrid) -> str | None:
    """Return which rows are of an early store, whose short epochs were averaged once under any protocol."""
    grid = filled.grid
    early = [row.label for row in grid.rows if row.dataset is not None and row.train_count is None]
    entries = [entry for column in grid.columns for entry in column.entries]
    if not early or all(entry.method.batch_norm == "none" for entry in entries):
        return None
    return (
        f"{', '.join(early)}: test statistics averaged once, also over epochs of fewer than "
        f"{grid.protocol.batch_norm_batches} mini-batches (trained by an earlier version)."
    )


def _data(filled: FilledGrid) -> str | None:
    """Explain `data 3f2a91bc` in labels, if any has it."""
    names = dict.fromkeys(name_data(row.dataset) for row in filled.grid.rows if row.dataset)
    used = [name for name in names if any(name in row.label for row in filled.grid.rows)]
    if not used:
        return None
    return f"{', '.join(used)}: datasets of one name, by the beginning of the SHA-256 of their pixels and labels."


def _missing_datasets(filled: FilledGrid) -> str | None:
    labels = [row.label for row in filled.grid.rows if row.dataset is None]
    return f"`-` dataset not available: {', '.join(labels)} (asymbp data ls)." if labels else None


_FOOTNOTES: tuple[Callable[[FilledGrid], str | None], ...] = (
    _rule,
    _picked_on,
    _seeds,
    _other_protocol,
    _colours,
    _hollow,
    _standard_errors,
    _coverage,
    _last_epoch,
    _held_out,
    _unequal_budgets,
    _collapsed,
    _diverged,
    _unfinished,
    _early_statistics,
    _data,
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
