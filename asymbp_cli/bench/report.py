"""The time to plan and render the whole study, from a store with made-up numbers. No torch."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asymbp_cli.analysis.tables import fill_all
from asymbp_cli.datasets.catalog import PAPER_ROWS
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.events import EpochEnded, RunFinished
from asymbp_cli.recipe.build import make_table_grid
from asymbp_cli.recipe.grid import Grid, GridRow
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.recipe.table import load_table
from asymbp_cli.report import markdown
from asymbp_cli.report.assemble import assemble_document
from asymbp_cli.results.provenance import collect
from asymbp_cli.results.store import Store
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.study import plan_work

_NETWORKS = {"mnist": "mnist", "cifar10": "cifar", "cifar100": "cifar", "svhn": "svhn"}


@dataclass(frozen=True)
class ReportMeasure:
    """The cost of planning and rendering in a process of its own, including its start."""

    runs: int
    epochs: int
    seconds: float
    peak_mib: float


def measure_report(directory: Path, *, epochs: int = 65) -> ReportMeasure:
    """Fill a store in `directory` with the whole study and measure a process that plans and renders it."""
    runs = fill_store(directory, epochs)
    code = f"from asymbp_cli.bench.report import plan_and_render; plan_and_render({str(directory)!r}, {epochs})"
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    return ReportMeasure(runs, runs * epochs, seconds, json.loads(done.stdout)["peak_mib"])


def plan_and_render(directory: str, epochs: int) -> None:
    """Plan all tables on all datasets, look up missing runs, render the report; print the peak of memory."""
    import resource

    with Store.open(Path(directory), create=False) as store:
        grids = _grids(epochs)
        if plan_work(grids, store).runs:
            raise RuntimeError("the made-up study is not complete")
        markdown.render(assemble_document(fill_all(store, grids), store))
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10  # bytes there, KiB here
    print(json.dumps({"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale}))


def _rows() -> list[GridRow]:
    return [
        GridRow(
            label=name,
            key=key,
            paper_name=name,
            exact=True,
            dataset=f"{i:064x}",
            network=NETWORKS[_NETWORKS.get(key, "large")].resolve(100),
        )
        for i, (name, key) in enumerate(PAPER_ROWS.items())
    ]


def _grids(epochs: int) -> list[Grid]:
    tables = [table for table in load_table("all") if table.kind == "errors"]
    rows = _rows()
    return [
        make_table_grid(table, Protocol(epochs=epochs), "paper", []).model_copy(
            update={"rows": tuple(row for row in rows if row.key in table.datasets)}
        )
        for table in tables
    ]


def fill_store(directory: Path, epochs: int) -> int:
    """Make a store of the whole study with made-up numbers; return its number of runs."""
    source = random.Random(0)
    grids = _grids(epochs)
    runs = {run_id: run for grid in grids for run_id, run in grid.all_runs().items()}
    with Store.open(directory) as store, store.writing():
        for row in _rows():
            store.save_dataset(_info(row))
        for grid in grids:
            store.save_grid(grid, "asymbp reproduce --table all --dataset all --protocol paper")
        store.begin(runs.values(), 0, collect("cpu"))
        for run_id in runs:
            for event in make_up_epochs(run_id, epochs, source):
                store.record(event)
            store.record(RunFinished(run_id, "finished", epochs))
    return len(runs)


def make_up_epochs(run_id: str, epochs: int, source: random.Random) -> Sequence[EpochEnded]:
    """Return made-up epochs of a run."""
    wrong = source.randint(50, 5000)
    return [
        EpochEnded(
            run=run_id,
            epoch=epoch,
            rate=1e-3,
            train_loss=0.1,
            train_wrong=0,
            train_seen=50_000,
            test_loss=0.1,
            test_wrong=wrong + source.randint(0, 99),
            test_seen=10_000,
            validation_wrong=None,
            validation_seen=None,
            one_class=False,
            diverged=False,
            seconds=1.0,
        )
        for epoch in range(1, epochs + 1)
    ]


def _info(row: GridRow) -> DecodedDataset:
    return DecodedDataset(
        key=row.key,
        label=row.label,
        paper_name=row.paper_name,
        exact=True,
        classes=tuple(map(str, range(100))),
        shape=(32, 32, 3),
        train_count=50_000,
        test_count=10_000,
        fingerprint=row.dataset or "",
        directory="/nowhere",
    )
