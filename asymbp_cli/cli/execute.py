"""What `train` and `reproduce` share: prepare data, say the estimate, run the study, print the tables."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asymbp_cli.analysis.tables import FilledGrid, fill_all
from asymbp_cli.cli.counter import progress
from asymbp_cli.cli.display import SAFE_TO_STOP, Display, display_for, plan_event
from asymbp_cli.cli.progress import Board, duration
from asymbp_cli.datasets.catalog import CATALOG, DatasetRef
from asymbp_cli.datasets.decoded import DataInfo
from asymbp_cli.datasets.prepare import data_directory, prepare
from asymbp_cli.errors import MissingDataError
from asymbp_cli.machine import cores
from asymbp_cli.paths import exists, shown
from asymbp_cli.recipe.build import check_distinct
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.networks import input_shape, network_for
from asymbp_cli.report.listings import agreement, conclusions
from asymbp_cli.report.records import records
from asymbp_cli.report.sheet import sheet
from asymbp_cli.results.store import FILE_NAME, Store
from asymbp_cli.scheduling.estimate import epoch_flop, epoch_seconds, estimate
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import StepKind

if TYPE_CHECKING:
    from asymbp_cli.study import Work

_LONG_SECONDS = 600.0


@dataclass(frozen=True)
class Options:
    """The options of commands that train, as click hands them over."""

    results_directory: Path
    data_dir: Path | None
    cache_dir: Path | None
    download: bool
    device: str
    workers: int | None
    dry_run: bool
    quiet: bool
    as_json: bool

    @property
    def worker_count(self) -> int:
        """Return the number of worker processes: on an accelerator one, on the CPU one per core."""
        return 1 if self.device != "cpu" else self.workers or cores()


def datasets(
    refs: Sequence[DatasetRef], network: Network | None, protocol: Protocol, options: Options
) -> list[DataInfo]:
    """Return every dataset at its network's input size, decoding what is not decoded yet."""
    infos = []
    for ref in refs:
        key, where = (ref, ref) if isinstance(ref, str) else ("folder", ref.folder)
        infos.append(
            prepare(
                ref,
                input_shape(network or network_for(key), key, where),
                data_dir=options.data_dir,
                cache_dir=options.cache_dir,
                resize=protocol.resize,
                download=options.download,
                report=None if options.quiet or options.as_json else progress(),
            )
        )
    check_distinct([info.label for info in infos], "datasets")
    return infos


def at_hand(
    keys: Sequence[str], protocol: Protocol, options: Options, *, alone: bool
) -> tuple[list[DataInfo], set[str]]:
    """Return those of the paper's datasets that are here, decoded, and the names of the others.

    Raises MissingDataError where none is here and there are no other datasets either (`alone`).
    """
    infos: list[DataInfo] = []
    for key in keys:
        with suppress(MissingDataError):
            infos += datasets([key], None, protocol, options) if key in CATALOG else []
    missing = set(keys) - {info.key for info in infos}
    if alone and not infos:
        raise MissingDataError(
            f"none of the paper's datasets is in {data_directory(options.data_dir)}; name another directory with "
            "--data-dir, add --download, or use --dataset digits, which needs no file (asymbp ls datasets)"
        )
    return infos, missing


def execute(grids: Sequence[Grid], infos: Sequence[DataInfo], options: Options) -> int:
    """Train what is missing of `grids`, print their tables, and return the exit code: 1 where runs failed."""
    if options.dry_run:
        _dry_run(grids, options)
        return 0
    _check_device(options.device)  # before anything is written
    by_fingerprint = {info.fingerprint: info for info in infos}
    with Store.open(options.results_directory) as store:
        failed = _study(grids, by_fingerprint, store, options)
        tables = fill_all(store, grids)
    present(tables, by_fingerprint, quiet=options.quiet, as_json=options.as_json)
    if failed and not options.as_json:
        click.echo(f"{len(failed)} runs failed; asymbp show RUN says why:", err=True)
        for run_id, message in failed.items():
            click.echo(f"  {run_id}: {message}", err=True)
    return 1 if failed else 0


def _check_device(device: str) -> None:
    """Raise DeviceError if the device cannot be used."""
    if device.startswith("cuda"):
        from asymbp_cli.training.probe import probe_device

        probe_device(device)
    elif device != "cpu":
        from asymbp_cli.training.device import open_device

        open_device(device)


def _dry_run(grids: Sequence[Grid], options: Options) -> None:
    from asymbp_cli.study import outstanding

    if exists(options.results_directory / FILE_NAME):
        with Store.open(options.results_directory, create=False) as store:
            work = outstanding(grids, store)
    else:
        work = outstanding(grids, None)
    if options.as_json:
        click.echo(json.dumps(plan_event(work.runs, work.remaining, seconds=None)))
        return
    lines = [
        f"{grid.key}: {len(grid.columns)} columns on {_labels(grid, here=True)}, "
        f"protocol {grid.protocol_label}: {len(grid.all_runs())} runs"
        + (f"; not here: {absent}" if (absent := _labels(grid, here=False)) else "")
        for grid in grids
    ]
    lines.append(f"to train: {len(work.runs)} of {len(work.runs) + len(work.done)} runs")
    click.echo("\n".join(lines))


def _labels(grid: Grid, *, here: bool) -> str:
    return ", ".join(row.label for row in grid.rows if (row.dataset is not None) == here)


def _study(
    grids: Sequence[Grid], infos: Mapping[str, DataInfo], store: Store, options: Options
) -> Mapping[str, str]:
    from asymbp_cli import study

    work = study.outstanding(grids, store)
    cost, seconds = _forecast(work, infos, options)
    board = Board(grids=grids, runs=work.runs, remaining=work.remaining, epoch_cost=cost, estimate_seconds=seconds)
    board.done_before = len(work.done)
    for points in store.epochs([*work.done, *work.runs]).values():
        for point in points:
            board.remember(point)
    display = display_for(board, quiet=options.quiet, as_json=options.as_json)
    if work.runs:
        _announce(board, options, display)
    with display:
        outcome = study.run(
            grids,
            infos,
            store,
            workers=options.worker_count,
            device=options.device,
            on_event=display.take,
            command=shown(shlex.join(["asymbp", *sys.argv[1:]])),
        )
    return outcome.failed


def _forecast(
    work: "Work", infos: Mapping[str, DataInfo], options: Options
) -> tuple[dict[str, float], float | None]:
    """Return what an epoch of each run costs, and the seconds of all.

    On CUDA only the first epochs tell the seconds: this process opens no GPU, and to search the fastest kernels
    for a measure takes longer than many an epoch. There an epoch costs operations, elsewhere seconds.
    """
    runs = work.runs
    if options.device.startswith("cuda"):
        return {run_id: epoch_flop(run, infos[run.dataset]) for run_id, run in runs.items()}, None
    measured: Mapping[StepKind, float] = {}
    if runs:
        from asymbp_cli.training.timing import measure_steps

        measured = measure_steps(runs.values(), infos, options.device)
    epochs = {run: work.remaining[run_id] for run_id, run in runs.items()}
    cost = {run_id: epoch_seconds(run, infos[run.dataset], measured) for run_id, run in runs.items()}
    return cost, estimate(epochs, infos, measured, options.worker_count)


def _announce(board: Board, options: Options, display: Display) -> None:
    seconds = board.estimate_seconds
    forecast = "the first epoch will tell how long" if seconds is None else f"about {duration(seconds)}"
    done = f" ({board.done_before} more are done)" if board.done_before else ""
    workers = "1 worker" if options.worker_count == 1 else f"{options.worker_count} workers"
    text = f"{len(board.remaining)} runs to train{done} on {workers}, {options.device}: {forecast}"
    if seconds is not None and seconds > _LONG_SECONDS:
        text += f". {SAFE_TO_STOP}"
    display.announce(text)


def present(tables: Sequence[FilledGrid], infos: Mapping[str, DataInfo], *, quiet: bool, as_json: bool) -> None:
    """Print the tables on standard output."""
    if as_json:
        cells: list[dict[str, Any]] = [record for filled in tables for record in records(filled)]
        click.echo(json.dumps({"event": "table", "cells": cells}))
        return
    from asymbp_cli.cli import console

    out = console.make(stderr=False)
    for filled in tables:
        console.show(out, sheet(filled))
    if quiet:
        return
    for listing in (*agreement(tables), *conclusions(tables, infos)[:1]):
        console.show_listing(out, listing)
