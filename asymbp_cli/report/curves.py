"""Curves: every epoch of every run as one flat record, for other programs."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, Literal, NamedTuple

from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.grid import Grid, table_ids
from asymbp_cli.recipe.labels import name_datasets, name_tables
from asymbp_cli.report.records import drop_infinite, round_value
from asymbp_cli.results.contents import Contents
from asymbp_cli.specs.measures import title_of
from asymbp_cli.specs.methods import method_name
from asymbp_cli.specs.references import short_name
from asymbp_cli.specs.runs import Run

Kind = Literal["text", "whole number", "number", "flag"]
Record = dict[str, Any]


class _Place(NamedTuple):
    """A column of a table that has a run, by name."""

    table: str
    protocol: str
    column: str


@dataclass(frozen=True)
class _Point:
    """An epoch of a run, the places of the run in tables, and the name of its dataset."""

    run: Run
    epoch: EpochEnded
    places: Sequence[_Place]
    dataset: str


class Column(NamedTuple):
    """A column of curves: the kind and the meaning of its values, and how they are found."""

    kind: Kind
    meaning: str
    find: Callable[[_Point], Any]


def _percent(wrong: int | None, seen: int | None) -> float | None:
    return round_value(100 * wrong / seen) if wrong is not None and seen else None


def _join(names: Iterable[str]) -> str:
    """Return names in one text, each once."""
    return "; ".join(dict.fromkeys(names))


#: name -> column, in the order of files; behind them come those of measures and layers, and of tables
COLUMNS: dict[str, Column] = {
    "table": Column(
        "text", "tables that have the run, separated by `; `", lambda at: _join(one.table for one in at.places)
    ),
    "protocol": Column("text", "protocols of these tables", lambda at: _join(one.protocol for one in at.places)),
    "dataset": Column("text", "its name, as in `asymbp ls runs`", lambda at: at.dataset),
    "column": Column("text", "columns of these tables", lambda at: _join(one.column for one in at.places)),
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
        "mean loss of a sample (cross-entropies are in nats); empty if it is no finite number",
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
    Of several tables, each has a column that says where it has a run. Runs are in the order of tables; those of no
    table come last.
    """
    stored = [entry.grid for entry in contents.grids.values()]
    names = name_datasets(row for grid in stored for row in grid.rows)
    places = _find_places(stored if grids is None else grids, _name_grids(stored))
    others = () if grids is not None else (run_id for run_id in contents.runs if run_id not in places)
    points = [
        _Point(kept.run, epoch, places.get(run_id, ()), _name_dataset(kept.run, names, contents))
        for run_id in (*places, *others)
        if (kept := contents.runs.get(run_id))
        for epoch in kept.epochs
    ]
    columns = COLUMNS | _make_measures(point.epoch for point in points) | _make_tables(places.values())
    records = [{name: drop_infinite(column.find(point)) for name, column in columns.items()} for point in points]
    return Curves({name: column.kind for name, column in columns.items()}, records)


def _name_grids(grids: Sequence[Grid]) -> dict[str, str]:
    """Return the name of each table by its id."""
    return {_identify(grid): name for grid, name in zip(grids, name_tables(grids), strict=True)}


def _identify(grid: Grid) -> str:
    """Return an id that does not depend on which rows are selected."""
    return table_ids(grid)[1]


def _find_places(grids: Iterable[Grid], names: Mapping[str, str]) -> dict[str, list[_Place]]:
    """Return the columns of tables that have each run."""
    places: dict[str, list[_Place]] = {}
    for grid in grids:
        name = names[_identify(grid)]
        for row, column in product(grid.rows, [*grid.columns, *([grid.baseline] if grid.baseline else [])]):
            for run in grid.runs(row, column):
                places.setdefault(run.id, []).append(_Place(name, grid.protocol_label, column.header))
    return places


def _name_dataset(run: Run, names: Mapping[Any, str], contents: Contents) -> str:
    return names.get((run.dataset, run.network)) or contents.datasets[run.dataset].label


def _make_measures(epochs: Iterable[EpochEnded]) -> dict[str, Column]:
    """Return a column for each measure and layer that occurs, `angle.3`: by name, then by layer.

    The name of a plugin's measure has the hash of the plugin only if there are several of this name.
    """
    found = {(key, layer) for epoch in epochs for key, values in epoch.measures.items() for layer in values}
    versions = Counter(short_name(key) for key in {key for key, _ in found})
    return {
        f"{short_name(key) if versions[short_name(key)] == 1 else key}.{layer}": Column(
            "number", title_of(key), partial(_find_measure, key, layer)
        )
        for key, layer in sorted(found)
    }


def _find_measure(key: str, layer: int, point: _Point) -> float | None:
    return point.epoch.measures.get(key, {}).get(layer)


def _make_tables(places: Iterable[Iterable[_Place]]) -> dict[str, Column]:
    """Return a column for each table, `column.table-2`, if there are several.

    Tables of one name under several protocols have these in their names: `column.table-2 (quick)`.
    """
    known = dict.fromkeys((place.table, place.protocol) for run in places for place in run)
    protocols = Counter(table for table, _ in known)
    if len(known) == 1:
        return {}
    return {
        f"column.{table} ({protocol})" if protocols[table] > 1 else f"column.{table}": Column(
            "text", "its column in this table", partial(_find_column, table, protocol)
        )
        for table, protocol in known
    }


def _find_column(table: str, protocol: str, point: _Point) -> str | None:
    """Return the columns of a run in a table; None if the table does not have it."""
    return _join(place.column for place in point.places if place[:2] == (table, protocol)) or None
