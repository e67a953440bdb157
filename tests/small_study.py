"""A small grid for tests, and a command that trains it in a process that a test can kill."""

import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import fake_engine

from asymbp_cli import study
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.executors import StudyEvent, Train
from asymbp_cli.executors.job import train as real_train
from asymbp_cli.files.paths import FILE_NAME
from asymbp_cli.recipe.grid import Grid, GridColumn, GridRow
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.recipe.procedure import Procedure
from asymbp_cli.results import checksums
from asymbp_cli.results.store import Store
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol

INFO = DecodedDataset(
    key="digits",
    label="digits",
    paper_name=None,
    exact=True,
    classes=tuple("0123456789"),
    shape=(8, 8, 1),
    train_count=1437,
    test_count=360,
    fingerprint="f" * 64,
    directory="/nowhere",
)
INFOS = {INFO.fingerprint: INFO}
REAL_EPOCHS = 8
NETWORK = NETWORKS["digits"].resolve(10)


def column(name: str, protocol: Protocol) -> GridColumn:
    """Return the column of a method under its own name."""
    return GridColumn(header=name, entries=(Procedure(method=parse_method(name), protocol=protocol),))


def row(fingerprint: str = INFO.fingerprint, label: str = "digits") -> GridRow:
    """Return a row of the digits network."""
    return GridRow(label=label, key="digits", paper_name=None, exact=True, dataset=fingerprint, network=NETWORK)


def grid(
    *methods: str,
    epochs: int = 4,
    multipliers: Iterable[float] = (10.0, 1.0),
    rows: tuple[GridRow, ...] = (),
    key: str = "table-2",
) -> Grid:
    """Return a grid of `methods` (SGD and uSF+BN by default) on digits."""
    protocol = Protocol(epochs=epochs, rate_multipliers=tuple(multipliers))
    return Grid(
        key=key,
        title="A small table",
        columns=tuple(column(name, protocol) for name in methods or ("SGD", "uSF+BN")),
        rows=rows or (row(),),
        baseline=column("SGD", protocol),
        protocol_label="paper with fewer epochs",
    )


def train(
    directory: Path,
    *grids: Grid,
    infos: Mapping[str, DecodedDataset] = INFOS,
    train: Train = fake_engine.train,
    on_event: Callable[[StudyEvent], None] = lambda event: None,
    command: str = "",
    workers: int = 1,
    **execution: object,
) -> study.Outcome:
    """Train `grids` into `directory`, with the fake engine unless `train` names another one."""
    execution = {"devices": ("cpu",) * workers, "train": train} | execution
    how = study.Execution(**execution)  # type: ignore[arg-type]
    with study.open_store(directory, how) as store:
        return study.run(grids, infos, store, how, on_event=on_event, command=command)


def train_digits(directory: Path, cache: Path, **options: Any) -> study.Outcome:
    """Train a grid on the real digits with the real engine."""
    info = prepare("digits", (8, 8, 1), DataSource(cache_dir=cache))
    wanted = grid("BM", "uSF+BN", epochs=REAL_EPOCHS, rows=(row(info.fingerprint),))
    return train(directory, wanted, infos={info.fingerprint: info}, train=real_train, **options)


def numbers(directory: Path) -> dict[str, list[str]]:
    """Return what must not depend on interruptions, by run: every epoch but its duration, exact to the bit."""
    with Store.open(directory, create=False) as store:
        epochs = store.epochs(summary.id for summary in store.runs())
    return {run: [repr(replace(event, seconds=0.0)) for event in events] for run, events in epochs.items()}


def change(directory: Path, *statements: str, take_checksums: bool = False) -> list[str]:
    """Change a database without regard for its rules, and return the ids of its runs.

    If `take_checksums`, it is changed as by damage that is older than the checksums.
    """
    with closing(sqlite3.connect(directory / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        for statement in statements:
            connection.execute(statement)
        if take_checksums:
            checksums.take(connection)
        return [run_id for (run_id,) in connection.execute("SELECT id FROM runs ORDER BY id")]


#: turns a database back into one of version 3 of the schema
TO_VERSION_3 = (
    "DROP TABLE checksums",
    "ALTER TABLE epochs DROP COLUMN measures",
    "PRAGMA user_version = 3",
)


def checkpoints(directory: Path) -> list[Path]:
    """Return the checkpoints in a results directory, half-written ones too."""
    return list((directory / "checkpoints").glob("*.safetensors*"))


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until `condition()` holds; fails after `seconds`."""
    last = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < last, "waited in vain"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Return whether a process runs (one that has ended but was not reaped does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":  # small_study.py DIRECTORY WORKERS [CACHE]
    where, number = Path(sys.argv[1]), int(sys.argv[2])
    if sys.argv[3:]:
        train_digits(where, Path(sys.argv[3]), workers=number, checkpoint_seconds=0.0)
    else:
        train(where, grid(epochs=20), workers=number, checkpoint_seconds=0.0)
