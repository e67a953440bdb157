"""Numbers that another paper printed of its trainings, beside ours: errors, angles and norms at certain epochs."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from statistics import mean

from asymbp_cli.analysis.tables import Epochs, select_cell
from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.grid import Grid, GridColumn, GridRow
from asymbp_cli.recipe.procedure import Procedure
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.recipe.table import TableSpec, load_table, other_table_files

ERROR = "error"  # on the test set, in percent
LOWEST = "lowest-error"  # of the epochs so far
SELECTED = "selected-error"  # of the run and the epoch that the rule selects, of the epochs so far of all runs


@dataclass(frozen=True)
class Mark:
    """A printed number: of a column, after `epoch`; `layer` is 0 for the test error.

    It is of a dataset, by our name, or of the only one of its table. Ours agrees with it up to `tolerance`.
    """

    column: str
    epoch: int
    measure: str  # ERROR, LOWEST, SELECTED, or one of `specs.measures.MEASURES`
    layer: int
    value: float
    tolerance: float
    dataset: str | None = None


@dataclass(frozen=True)
class ComparedMark:
    """A mark, and ours: the mean over seeds."""

    mark: Mark
    ours: float

    @property
    def difference(self) -> float:
        """Return ours minus theirs."""
        return self.ours - self.mark.value

    @property
    def agrees(self) -> bool:
        """Return whether they differ by the tolerance at most."""
        return abs(self.difference) <= self.mark.tolerance + 1e-9


@cache
def load_marks(table: str) -> tuple[Mark, ...]:
    """Return the printed numbers of the table of that key; none if it is no table of another paper."""
    if table not in other_table_files():
        return ()
    (spec,) = load_table(table)
    if spec.published is None:
        return ()
    with open(recipes_directory() / "reference" / spec.published, newline="", encoding="utf-8") as file:
        return tuple(
            Mark(
                column=row["column"],
                epoch=int(row["epoch"]),
                measure=row["measure"],
                layer=int(row["layer"] or 0),
                value=float(row["value"]),
                tolerance=float(row["tolerance"]),
                dataset=row.get("dataset"),
            )
            for row in csv.DictReader(file)
        )


def find_marks(grid: Grid) -> tuple[Mark, ...]:
    """Return the printed numbers of a grid's table; none if it is no table of another paper."""
    return load_marks(_key_of(grid))


def _key_of(grid: Grid) -> str:
    return grid.key.removeprefix("table-")


def compare_marks(grid: Grid, row: GridRow, epochs: Epochs) -> list[ComparedMark]:
    """Return the marks of a grid's table that a row has reached, in every seed: curve by curve, by column.

    Only what the paper trained is compared: its network on its data, each column by its method and its protocol,
    but for the number of epochs and what is measured.
    """
    marks = [mark for mark in find_marks(grid) if mark.dataset in (None, row.key)]
    if not marks:
        return []
    (table,) = load_table(_key_of(grid))
    if not _is_theirs(row, table):
        return []
    compared = []
    for column in (column for column in grid.columns if _trains_theirs(column, table)):
        histories = _histories(grid, row, column, epochs)
        selected = partial(_select, grid, row, column, epochs)
        for mark in sorted(marks, key=lambda mark: (mark.measure != ERROR, mark.measure, mark.layer, mark.epoch)):
            if mark.column == column.header:
                values = selected(mark) if mark.measure == SELECTED else [_read(one, mark) for one in histories]
                if values and None not in values:
                    compared.append(ComparedMark(mark, mean(value for value in values if value is not None)))
    return compared


def _is_theirs(row: GridRow, table: TableSpec) -> bool:
    """Return whether a row is of the network and the data that a paper trained on."""
    if row.key not in table.datasets or not row.exact or row.network is None or table.network is None:
        return False
    (classes,) = row.network.shapes()[-1]
    return row.network == table.network.resolve(classes)


def _trains_theirs(column: GridColumn, table: TableSpec) -> bool:
    """Return whether a column follows the method and the protocol of the table's column of its name."""
    own = next((known for known in table.columns if known.header == column.header), None)
    if own is None or table.protocol is None:
        return False
    protocol = load_protocol(table.protocol)[0]
    expected = [_compared_part(variant.under(protocol)) for variant in own.variants]
    return [_compared_part(procedure) for procedure in column.entries] == expected


def _compared_part(procedure: Procedure) -> Procedure:
    """Return a procedure without what may differ: epochs, measures, and what only BN needs."""
    changes = {"epochs": 1, "measure": (), "batch_norm_short_epochs": "once"}
    return procedure.model_copy(update={"protocol": procedure.protocol.model_copy(update=changes)})


def _histories(grid: Grid, row: GridRow, column: GridColumn, epochs: Epochs) -> Sequence[dict[int, EpochEnded]]:
    """Return the epochs of each run of a cell, by number."""
    return [{point.epoch: point for point in epochs.get(run.id, ())} for run in grid.runs(row, column)]


def _select(grid: Grid, row: GridRow, column: GridColumn, epochs: Epochs, mark: Mark) -> Sequence[float | None]:
    """Return the error that is selected in each seed among the epochs up to the mark's, once all runs have it."""
    runs = [run.id for run in grid.runs(row, column)]
    past = {run: [point for point in epochs.get(run, ()) if point.epoch <= mark.epoch] for run in runs}
    if not all(any(point.epoch == mark.epoch for point in points) for points in past.values()):
        return [None]
    return [pick.error_percent for pick in select_cell(grid, row, column, past, {}).picks]


def _read(history: Mapping[int, EpochEnded], mark: Mark) -> float | None:
    """Return our number of a run; None if the run has not reached the epoch of a mark, or was not measured."""
    point = history.get(mark.epoch)
    if point is None:
        return None
    if mark.measure == LOWEST:
        return min(history[epoch].test_percent for epoch in history if epoch <= mark.epoch)
    return point.test_percent if mark.measure == ERROR else point.measures.get(mark.measure, {}).get(mark.layer)
