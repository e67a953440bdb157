"""Results of others, checked in memory before they are merged; nothing in them is changed."""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.errors import StoreError
from asymbp_cli.files.paths import FILE_NAME
from asymbp_cli.results import checksums
from asymbp_cli.results.contents import (
    RUN_COLUMNS,
    StoredGrid,
    StoredRun,
    make_run,
    read_attempts,
    read_datasets,
    read_grids,
    read_run,
)
from asymbp_cli.results.database import (
    closed_on_failure,
    copy_to_memory,
    explain_remedy,
    store_errors,
)
from asymbp_cli.results.directory import check_directory
from asymbp_cli.results.migrations import has_schema
from asymbp_cli.results.summaries import parse_measures
from asymbp_cli.results.validity import LOSSES, Damage, check_dataset, check_frame, check_grid, check_run
from asymbp_cli.specs.runs import Run

#: whether SQLite has a number in a column as asymbp writes it; a text is more than any number
_NUMBER = "typeof({0}) IN ('integer', 'real')"
_WHOLE = " AND ".join(
    f"typeof({name}) = 'integer'"
    for name in ("epoch", "train_wrong", "train_seen", "test_wrong", "test_seen", "one_class", "diverged")
)
_NORMAL = f"""{_WHOLE} AND train_wrong BETWEEN 0 AND train_seen
    AND test_wrong BETWEEN 0 AND test_seen AND test_seen > 0 AND one_class IN (0, 1) AND diverged IN (0, 1)
    AND typeof(validation_seen) IN ('integer', 'null') AND typeof(validation_wrong) = typeof(validation_seen)
    AND coalesce(validation_wrong BETWEEN 0 AND validation_seen, 1)
    AND {_NUMBER.format("rate")} AND rate > 0 AND rate < 9e999
    AND {_NUMBER.format("seconds")} AND seconds >= 0 AND seconds < 9e999
    AND {" AND ".join(f"typeof({name}) IN ('integer', 'real', 'null')" for name in LOSSES)}"""

#: a row for each run with epochs, for `_is_normal`. A frozen run trains on no samples
_HISTORIES = f"""
    SELECT run, count(*), min(epoch), max(epoch), min(test_seen), max(test_seen),
        coalesce(min(nullif(train_seen, 0)), 0), max(train_seen),
        count(validation_seen), coalesce(min(validation_seen), 0), coalesce(max(validation_seen), 0),
        min(coalesce({_NORMAL}, 0))
    FROM epochs GROUP BY run"""


@dataclass(frozen=True)
class Source:
    """Results of others: a database of the present version in memory, of which every row was checked."""

    connection: sqlite3.Connection
    datasets: Mapping[str, DecodedDataset]
    grids: Mapping[str, StoredGrid]

    def close(self) -> None:
        """Give the memory back."""
        self.connection.close()


def read_directory(directory: Path) -> Source:
    """Return the results in `directory`; those of an older version are migrated in memory.

    Raises StoreError if there are none, or they are damaged, newer than this program or out of reach.
    """
    check_directory(directory, create=False)
    path = directory / FILE_NAME
    with store_errors(path), closed_on_failure(copy_to_memory(path)) as connection:
        checksums.verify(connection)
        try:
            return check_source(connection)
        except Damage as error:
            raise StoreError(
                f"{path} is damaged ({error}); nothing of it was merged. {explain_remedy(path)}"
            ) from error


def check_source(connection: sqlite3.Connection) -> Source:
    """Return the source in a database, whose specs are rewritten as this version writes them.

    Raises Damage, RowError or sqlite3.Error if anything in it cannot be.
    """
    if not has_schema(connection):
        raise Damage("its tables are not those that asymbp makes")
    datasets, grids = read_datasets(connection), read_grids(connection)
    try:
        for fingerprint, info in datasets.items():
            check_dataset(fingerprint, info)
        for key, stored in grids.items():
            check_grid(key, stored)
        rewritten = list(_check_runs(connection, datasets))
    except (TypeError, ValueError, AttributeError) as error:
        raise Damage("a value is of another type than asymbp writes") from error
    if rewritten:
        connection.executemany("UPDATE runs SET spec = ?, dataset = ? WHERE id = ?", rewritten)
        checksums.take(connection)
    return Source(connection, datasets, grids)


def _check_runs(
    connection: sqlite3.Connection, datasets: Mapping[str, DecodedDataset]
) -> Iterator[tuple[str, str, str]]:
    """Yield spec, dataset and id of the runs of which this version would write others."""
    histories = {run_id: history for run_id, *history in connection.execute(_HISTORIES)}
    for run_id, measures in connection.execute("SELECT run, measures FROM epochs WHERE measures IS NOT NULL"):
        parse_measures(run_id, measures)
    attempts = read_attempts(connection)
    rows = connection.execute(f"SELECT {', '.join(RUN_COLUMNS)}, dataset FROM runs").fetchall()
    for *columns, dataset in rows:
        row = tuple(columns)
        stored = make_run(row, attempts[row[0]], ())
        check_frame(row[0], stored, datasets)
        if not _is_normal(stored, histories.get(row[0]), datasets[stored.run.dataset]):
            check_run(row[0], read_run(connection, row), datasets)
        spec = stored.run.model_dump_json()
        if (spec, stored.run.dataset) != (row[1], dataset):
            yield spec, stored.run.dataset, row[0]


def _is_normal(stored: StoredRun, history: list[Any] | None, info: DecodedDataset) -> bool:
    """Return whether SQLite sees that the epochs of a run are those of a training, as nearly all are.

    What it does not see, `check_run` does, which takes ten times as long.
    """
    if history is None:
        return False
    count, first, last, *samples, validated, least_held, most_held, is_normal = history
    complete = first == 1 and last == count and (count == stored.run.protocol.epochs or not stored.state)
    if not (is_normal and complete and count <= stored.run.protocol.epochs):
        return False
    if validated not in (0, count) or least_held != most_held:
        return False
    trained = _trained_samples(stored.run, count, info.train_count - most_held)
    return trained is not None and samples in (
        [info.test_count, info.test_count, trained, trained],
        [info.test_count, info.test_count, 0, 0],
    )


def _trained_samples(run: Run, epochs: int, count: int) -> int | None:
    """Return the samples that each epoch trains on; None if not all have the same."""
    last = epochs if run.protocol.last_batch == "drop" else 1  # else it is the same for every batch size
    found = {run.protocol.trained_samples(epoch, count) for epoch in range(1, last + 1)}
    return found.pop() if len(found) == 1 else None
