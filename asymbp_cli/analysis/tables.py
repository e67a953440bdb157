"""Grids filled with stored runs: cells, coloured by the paper's rule, each with the paper's number."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from statistics import mean

from asymbp_cli.analysis.cells import Cell, Pick, Trained, colour_of
from asymbp_cli.analysis.uncertainty import compare_errors
from asymbp_cli.datasets.catalog import CATALOG, PAPER_ROWS
from asymbp_cli.errors import UsageError
from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.cell_commands import write_cell_command
from asymbp_cli.recipe.grid import Grid, GridColumn, GridRow, resolve_protocol
from asymbp_cli.recipe.labels import find_table_words, name_tables, tell_rows_apart
from asymbp_cli.recipe.procedure import Procedure
from asymbp_cli.recipe.table import load_published
from asymbp_cli.results.store import Store
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run
from asymbp_cli.text import nearest


@dataclass(frozen=True)
class FilledGrid:
    """A grid with its cells, row by row in the grid's order, and the baseline's cell of each row."""

    grid: Grid
    cells: tuple[tuple[Cell, ...], ...]
    baselines: tuple[Cell | None, ...]


Epochs = Mapping[str, Sequence[EpochEnded]]
States = Mapping[str, str]


def filter_grids(grids: Sequence[Grid], keys: Sequence[str]) -> list[Grid]:
    """Return the grids that `keys` name (`2`, `4` for both halves, a recipe's name, a title), or all without keys.

    Those of one table stand together, `matconvnet` first: of the two readings of the paper it is the one that came
    nearer on MNIST (recipes/results/README.md).

    Raises UsageError if there are no grids, or none for one of the keys.
    """
    if not grids:
        raise UsageError("no results yet. Run asymbp reproduce --table 2 first")
    names, order = name_tables(grids), list(dict.fromkeys(grid.key for grid in grids))
    for key in keys:
        if not any(map(_matches, grids, names, repeat(key))):
            choices = [*(name.partition("-")[2] for name in order), *(grid.title for grid in grids)]
            available = ", ".join(f'"{word}"' for word in dict.fromkeys(find_table_words(grids)))
            hint = _explain_list(key, grids, names) or nearest(key, choices)
            raise UsageError(f'no results for table "{key}".{hint} Available: {available}')
    found = [
        grid
        for grid, name in zip(grids, names, strict=True)
        if not keys or any(_matches(grid, name, key) for key in keys)
    ]
    return sorted(
        found, key=lambda grid: (order.index(grid.key), not grid.protocol_label.startswith("matconvnet"))
    )


def _explain_list(key: str, grids: Sequence[Grid], names: Sequence[str]) -> str:
    """Return how to name several tables if `key` is a list of them with commas; empty if it is none."""
    parts = [part.strip() for part in key.split(",")]
    if len(parts) < 2 or not all(any(map(_matches, grids, names, repeat(part))) for part in parts):
        return ""
    return f" For several write {' '.join(f'--table {part}' for part in parts)}."


def _matches(grid: Grid, name: str, key: str) -> bool:
    """Return whether `key`, as a user writes it, names the grid, which is `name` in results."""
    names = (key, f"table-{key}", f"recipe-{key}")
    return grid.key in names or grid.key.startswith(f"table-{key}-") or key in (grid.title, name)


def fill_all(store: Store, grids: Iterable[Grid]) -> list[FilledGrid]:
    """Return the grids filled with the stored results, the paper's numbers, and what the held-out rule gives."""
    grids, stored = list(grids), store.grids()
    held_out = [find_held_out(grid, stored) for grid in grids]
    runs = {run for grid in (*grids, *held_out) if grid for run in grid.all_runs()}
    states, epochs, plugins = store.states(), store.selected(runs), store.plugins()

    def fill(grid: Grid) -> FilledGrid:
        return fill_grid(grid, epochs, states, load_published(), plugins)

    return [
        compare_rules(fill(grid), fill(other)) if other else fill(grid)
        for grid, other in zip(grids, held_out, strict=True)
    ]


def fill_grid(
    grid: Grid,
    epochs: Epochs,
    states: States,
    paper: Mapping[tuple[str, str], float],
    plugins: Mapping[str, str] | None = None,
) -> FilledGrid:
    """Return the grid's cells from stored epochs and run states, both by run id.

    `paper` holds the published errors in percent by (row name in the paper, name of the method). Rows of one label
    get labels that tell them apart. `plugins` are those of `Store.plugins`.
    """
    grid = tell_rows_apart(grid)

    def fill_cell(row: GridRow, column: GridColumn) -> Cell:
        published_error = paper.get((row.paper_name or "", column.paper_name or ""))
        command = write_cell_command(grid, row, column, plugins)
        return replace(select_cell(grid, row, column, epochs, states), paper=published_error, command=command)

    baselines = [fill_cell(row, grid.baseline) if grid.baseline else None for row in grid.rows]
    cells = tuple(
        tuple(
            _compare(fill_cell(row, column), baseline if _is_compared(grid, column) else None, _paper_count(row))
            for column in grid.columns
        )
        for row, baseline in zip(grid.rows, baselines, strict=True)
    )
    return FilledGrid(grid, cells, tuple(baselines))


def select_cell(grid: Grid, row: GridRow, column: GridColumn, epochs: Epochs, states: States) -> Cell:
    """Return the cell of one row and column by the protocol's rule.

    The paper's rule (section 5) takes the lowest test error over all epochs of all runs. With a held-out part of
    the training set the lowest validation error decides, and the cell reports the test error at that point. Ties
    are those of `select_epoch`. Each seed is a repetition of the whole experiment.
    """
    runs = grid.runs(row, column)
    ended = [states[run.id] for run in runs if run.id in states]
    best = {run.id: found for run in runs if (found := select_epoch((p, run) for p in epochs.get(run.id, ())))}
    picks = [
        pick for seed in grid.seeds if (pick := _select([b for b in best.values() if b[1].seed == seed], epochs))
    ]
    return Cell(
        picks=tuple(sorted(picks, key=lambda pick: (pick.error_percent, pick.seed))),
        ended=len(ended),
        wanted=len(runs),
        diverged=ended.count("diverged"),
        reason="" if picks else _reason(runs),
        trained=tuple(
            _make_trained(*best[run.id], procedure, diverged=states.get(run.id) == "diverged")
            for run, procedure in zip(runs, _number_procedures(grid, column), strict=False)
            if run.id in best
        ),
    )


def _number_procedures(grid: Grid, column: GridColumn) -> list[int]:
    """Return for each run of a cell, in their order, the place of its procedure in the column."""
    counts = (len(grid.seeds) * len(entry.protocol.rate_multipliers) for entry in column.entries)
    return [place for place, count in enumerate(counts) for _ in range(count)]


def _make_trained(point: EpochEnded, run: Run, procedure: int, *, diverged: bool) -> Trained:
    return Trained(
        run=run.id,
        seed=run.seed,
        procedure=procedure,
        rate_multiplier=run.rate_multiplier,
        epoch=point.epoch,
        wrong=point.test_wrong,
        seen=point.test_seen,
        collapsed=point.one_class,
        diverged=diverged or point.diverged,
    )


def _reason(runs: Sequence[Run]) -> str:
    """Return why a cell has no number: without its dataset a grid has no runs."""
    return "not run yet" if runs else "dataset not available"


def select_epoch(points: Iterable[tuple[EpochEnded, Run]]) -> tuple[EpochEnded, Run] | None:
    """Return the epoch that the rule selects, with its run; None without any epoch.

    The lowest error decides; on held-out data the lowest loss breaks ties. What is still equal goes to the largest
    rate of the first phase, then to the earliest epoch.
    """
    return min(points, key=lambda pair: (pair[0].criterion, -pair[1].first_rate, pair[0].epoch), default=None)


def _select(best: Iterable[tuple[EpochEnded, Run]], epochs: Epochs) -> Pick | None:
    """Return the pick among the runs of one seed, given the selected epoch of each."""
    selected = select_epoch(best)
    if selected is None:
        return None
    point, run = selected
    last = max(epochs[run.id], key=lambda epoch: epoch.epoch)
    return Pick(
        seed=run.seed,
        run=run.id,
        rate_multiplier=run.rate_multiplier,
        epoch=point.epoch,
        wrong=point.test_wrong,
        seen=point.test_seen,
        collapsed=point.one_class,
        last_epoch=last.epoch,
        last_wrong=last.test_wrong,
        held_out=point.validation_seen or 0,
    )


def _is_compared(grid: Grid, column: GridColumn) -> bool:
    """Return whether a column is compared with the baseline: it is comparable, and does not have its own runs."""
    return grid.baseline is not None and grid.is_comparable(column) and column.entries != grid.baseline.entries


def _paper_count(row: GridRow) -> int | None:
    """Return the number of test samples that the paper's row has; None if the paper does not have the row."""
    counts = CATALOG[PAPER_ROWS[row.paper_name]].paper_counts if row.paper_name in PAPER_ROWS else None
    return counts[1] if counts else None


def _compare(cell: Cell, baseline: Cell | None, paper_count: int | None) -> Cell:
    """Return the cell with its colours and its difference to the baseline.

    Ours need complete cells, since the errors of others may still fall. `paper_count`: the paper's test samples.
    """
    if baseline is None:
        return cell
    difference = paper_difference = None
    complete = cell.complete and baseline.complete
    if complete and cell.picks and baseline.picks:
        difference = compare_errors(cell.errors_by_seed, baseline.errors_by_seed, cell.picks[0].seen)
    if cell.paper is not None and baseline.paper is not None and paper_count:
        paper_difference = compare_errors({0: cell.paper}, {0: baseline.paper}, paper_count)
    return replace(
        cell,
        colour=colour_of(cell.error_percent, baseline.error_percent) if complete else None,
        paper_colour=colour_of(cell.paper, baseline.paper),
        difference=difference,
        paper_difference=paper_difference,
    )


def find_held_out(grid: Grid, grids: Iterable[Grid]) -> Grid | None:
    """Return the grid that is `grid` under the held-out rule; None without any.

    Of several it is the one of the same title, then the one with the most seeds in common. How they treat short
    epochs need not be the same, since tables of early stores did not say so.
    """
    if grid.validation_fraction:
        return None
    counterparts = [
        other
        for other in grids
        if other.key == grid.key
        and other.validation_fraction
        and _comparable(other.protocol) == _comparable(grid.protocol)
        and set(other.seeds) & set(grid.seeds)
    ]

    def likeness(other: Grid) -> tuple[bool, int, bool]:
        same = other.protocol.batch_norm_short_epochs == grid.protocol.batch_norm_short_epochs
        return other.title == grid.title, len(set(other.seeds) & set(grid.seeds)), same

    return max(counterparts, key=likeness, default=None)


def compare_rules(filled: FilledGrid, held_out: FilledGrid) -> FilledGrid:
    """Return the table with the difference between the rules in every cell that is complete under both."""
    counterparts = {key: cell for key, cell in _keyed_cells(held_out) if cell.complete}
    differences = iter([_rule_difference(cell, counterparts.get(key)) for key, cell in _keyed_cells(filled)])
    cells = tuple(tuple(replace(cell, rule_difference=next(differences)) for cell in row) for row in filled.cells)
    return replace(filled, cells=cells)


def _keyed_cells(filled: FilledGrid) -> Iterator[tuple[object, Cell]]:
    """Yield every cell, row by row, with what makes it the same cell under another rule."""
    for row, cells in zip(filled.grid.rows, filled.cells, strict=True):
        for column, cell in zip(filled.grid.columns, cells, strict=True):
            yield (row.dataset, row.network, tuple(_without_rule(entry, row) for entry in column.entries)), cell


def _comparable(protocol: Protocol) -> Protocol:
    return protocol.model_copy(update={"validation_fraction": 0.0, "batch_norm_short_epochs": "once"})


def _without_rule(procedure: Procedure, row: GridRow) -> Procedure:
    """Return the procedure that trains a cell of `row`, as if nothing was held out."""
    whole = procedure.model_copy(
        update={"protocol": procedure.protocol.model_copy(update={"validation_fraction": 0.0})}
    )
    return whole.model_copy(update={"protocol": resolve_protocol(whole, row.train_count)})


def _rule_difference(cell: Cell, held_out: Cell | None) -> float | None:
    """Return the error under the held-out rule minus that under the paper's: the mean over common seeds."""
    if held_out is None or not cell.complete:
        return None
    errors = held_out.errors_by_seed
    pairs = [errors[pick.seed] - pick.error_percent for pick in cell.picks if pick.seed in errors]
    return mean(pairs) if pairs else None
