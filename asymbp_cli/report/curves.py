"""Curves: every epoch of every run as one flat record, for other programs."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, NamedTuple

from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.labels import name_datasets, name_tables
from asymbp_cli.report.records import drop_infinite, round_value
from asymbp_cli.results.contents import Contents
from asymbp_cli.specs.methods import method_name
from asymbp_cli.specs.runs import Run

Kind = Literal["text", "whole number", "number", "flag"]
Record = dict[str, Any]


@dataclass(frozen=True)
class _Point:
    """An epoch of a run, and the names of the tables, protocols, columns and dataset that the run belongs to."""

    run: Run
    epoch: EpochEnded
    tables: str
    protocols: str
    columns: str
    dataset: str


class Column(NamedTuple):
    """A column of curves: the kind and the meaning of its values, and how they are found."""

    kind: Kind
    meaning: str
    find: Callable[[_Point], Any]


def _percent(wrong: int | None, seen: int | None) -> float | None:
    return round_value(100 * wrong / seen) if wrong is not None and seen else None


#: name -> column, in the order of files; a column for each measure and layer follows them
COLUMNS: dict[str, Column] = {
    "table": Column("text", "tables that have the run, separated by `; `", lambda at: at.tables),
    "protocol": Column("text", "protocols of these tables", lambda at: at.protocols),
    "dataset": Column("text", "its name, as in `asymbp ls runs`", lambda at: at.dataset),
    "column": Column("text", "columns of these tables", lambda at: at.columns),
    "method": Column("text", "name of the method", lambda at: method_name(at.run.method)),
    "rate_multiplier": Column("number", "of the base rate", lambda at: at.run.rate_multiplier),
    "rate": Column("number", "learning rate in this epoch", lambda at: at.epoch.rate),
    "seed": Column("whole number", "seed", lambda at: at.run.seed),
    "run": Column("text", "id of the run", lambda at: at.epoch.run),
    "epoch": Column("whole number", "counted from 1", lambda at: at.epoch.epoch),
    "train_error_percent": Column(
        "number",
        "while training, with moving weights; 4 digits",
        lambda at: _percent(at.epoch.train_wrong, at.epoch.train_seen),
    ),
    "train_wrong": Column("whole number", "wrong answers while training", lambda at: at.epoch.train_wrong),
    "train_seen": Column("whole number", "of so many; 0: the run was frozen", lambda at: at.epoch.train_seen),
    "test_error_percent": Column(
        "number", "after the epoch; 4 digits", lambda at: _percent(at.epoch.test_wrong, at.epoch.test_seen)
    ),
    "test_wrong": Column("whole number", "wrong answers on the test set", lambda at: at.epoch.test_wrong),
    "test_seen": Column("whole number", "test samples", lambda at: at.epoch.test_seen),
    "validation_error_percent": Column(
        "number",
        "of held-out data; 4 digits; empty without them",
        lambda at: _percent(at.epoch.validation_wrong, at.epoch.validation_seen),
    ),
    "validation_wrong": Column(
        "whole number", "wrong answers on held-out data", lambda at: at.epoch.validation_wrong
    ),
    "validation_seen": Column("whole number", "held-out samples", lambda at: at.epoch.validation_seen),
    "train_loss": Column(
        "number",
        "mean cross-entropy in nats; of sigmoids: summed over classes; empty if it is no finite number",
        lambda at: at.epoch.train_loss,
    ),
    "test_loss": Column("number", "the same on the test set", lambda at: at.epoch.test_loss),
    "validation_loss": Column("number", "the same on held-out data", lambda at: at.epoch.validation_loss),
    "one_class": Column("flag", "every test answer is the same class", lambda at: at.epoch.one_class),
    "diverged": Column(
        "flag", "the run is frozen, and counts as answering the first class", lambda at: at.epoch.diverged
    ),
    "seconds": Column("number", "the run's share of its stack's wall time", lambda at: at.epoch.seconds),
}


@dataclass(frozen=True)
class Curves:
    """Records, all with the same keys: the columns, by kind. A missing value is None."""

    columns: Mapping[str, Kind]
    records: Sequence[Record]


def make_curves(contents: Contents, grids: Sequence[Grid] | None = None) -> Curves:
    """Return the curves of the runs of `grids`; without `grids`, of every stored run.

    There is one record for each run and epoch, also if several tables have the run, so that nothing counts twice.
    Runs are in the order of tables; those of no table come last.
    """
    stored = [entry.grid for entry in contents.grids.values()]
    names = name_datasets(row for grid in stored for row in grid.rows)
    selected = stored if grids is None else grids
    places = _find_places(selected, _name_grids(stored))
    others = () if grids is not None else (run_id for run_id in contents.runs if run_id not in places)
    points = [
        _Point(kept.run, epoch, tables, protocols, columns, _name_dataset(kept.run, names, contents))
        for run_id in (*places, *others)
        if (kept := contents.runs.get(run_id))
        for tables, protocols, columns in (map("; ".join, places[run_id]),)
        for epoch in kept.epochs
    ]
    measures = _list_measures(point.epoch for point in points)
    kinds: dict[str, Kind] = {name: column.kind for name, column in COLUMNS.items()}
    kinds |= dict.fromkeys(measures, "number")
    return Curves(kinds, [_make_record(point, measures) for point in points])


def _name_grids(grids: Sequence[Grid]) -> dict[tuple[str, str], str]:
    """Return the name of each table by key and title."""
    return {(grid.key, grid.title): name for grid, name in zip(grids, name_tables(grids), strict=True)}


#: tables, protocols and columns of a run
_Places = tuple[dict[str, None], dict[str, None], dict[str, None]]


def _find_places(grids: Iterable[Grid], names: Mapping[tuple[str, str], str]) -> defaultdict[str, _Places]:
    """Return the tables of each run: their names in order, each once."""
    places: defaultdict[str, _Places] = defaultdict(lambda: ({}, {}, {}))
    for grid in grids:
        columns = [*grid.columns, *([grid.baseline] if grid.baseline else [])]
        for row, column in product(grid.rows, columns):
            for run in grid.runs(row, column):
                found = names[grid.key, grid.title], grid.protocol_label, column.header
                for known, name in zip(places[run.id], found, strict=True):
                    known[name] = None
    return places


def _name_dataset(run: Run, names: Mapping[Any, str], contents: Contents) -> str:
    return names.get((run.dataset, run.network)) or contents.datasets[run.dataset].label


def _list_measures(epochs: Iterable[EpochEnded]) -> list[str]:
    """Return the column of each measure and layer that occurs: `angle.3`. By name, then by layer."""
    found = {(measure, layer) for epoch in epochs for measure, layer in _flatten(epoch)}
    return [f"{measure}.{layer}" for measure, layer in sorted(found)]


def _flatten(epoch: EpochEnded) -> Iterator[tuple[str, int]]:
    return ((measure, layer) for measure, values in epoch.measures.items() for layer in values)


def _make_record(point: _Point, measures: Iterable[str]) -> Record:
    record = {name: drop_infinite(column.find(point)) for name, column in COLUMNS.items()}
    epoch = point.epoch
    values = {f"{measure}.{layer}": epoch.measures[measure][layer] for measure, layer in _flatten(epoch)}
    return record | {name: values.get(name) for name in measures}
