"""What `train` and `reproduce` share: from options to a study, its display and its tables."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import click

from asymbp_cli import study
from asymbp_cli.analysis.tables import FilledGrid, fill_all
from asymbp_cli.api.arguments import make_execution
from asymbp_cli.api.asked import Asked
from asymbp_cli.api.load_plugins import load_plugins
from asymbp_cli.api.notices import explain_changed_plugins, explain_channels, explain_missing_weights
from asymbp_cli.cli.choose_display import choose_display
from asymbp_cli.cli.counter import show_progress
from asymbp_cli.cli.display import SAFE_TO_STOP, Display
from asymbp_cli.cli.json_lines import make_line, print_line
from asymbp_cli.cli.logs import load_logs, observe
from asymbp_cli.cli.plan import describe_part, make_plan, print_plan
from asymbp_cli.cli.progress import StudyProgress, describe_execution, describe_seconds
from asymbp_cli.cli.streams import check_open, note_kept
from asymbp_cli.cli.study_summary import fill_and_summarize
from asymbp_cli.cli.waiting import Waiting, say
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.events import OnProgress
from asymbp_cli.files.locks import check_no_writer
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.report.records import make_records
from asymbp_cli.report.result_table import make_result_table
from asymbp_cli.results.store import Store
from asymbp_cli.scheduling.shards import Part
from asymbp_cli.specs.modules import WhichWeights
from asymbp_cli.specs.shards import Shard
from asymbp_cli.study import Execution
from asymbp_cli.text import count, printable_path

_LONG_SECONDS = 600.0


@dataclass(frozen=True)
class Options:
    """The options of commands that train, as click hands them over."""

    results_directory: Path
    data_dir: Path | None
    cache_dir: Path | None
    download: bool
    devices: tuple[str, ...] | None
    workers: int | None
    executor: str | None
    partition: str | None
    time: str | None
    address: str | None
    gpus_per_worker: float | None
    attempts: int
    shard: Shard | None
    keep_weights: WhichWeights | None
    logs: Sequence[tuple[str, Path]]
    dry_run: bool
    quiet: bool
    as_json: bool
    waiting: Waiting  # from the beginning, until something else is shown

    @property
    def source(self) -> DataSource:
        """Return the sources of datasets."""
        show = None if self.quiet or self.as_json else self._show_progress
        return DataSource(self.data_dir, self.cache_dir, self.download, show, not self.dry_run)

    @cached_property
    def _show(self) -> OnProgress:
        return show_progress()

    def _show_progress(self, what: str, done: int, total: int) -> None:
        self.waiting.end()
        self._show(what, done, total)

    @property
    def execution(self) -> Execution:
        """Return how to train. Raises AsymbpError as `make_execution`."""
        names = ("partition", "time", "address", "gpus_per_worker")
        given = {name: getattr(self, name) for name in names}
        execution = make_execution(self.devices, self.workers, self.executor, given)
        return replace(execution, attempts=self.attempts, keep_weights=self.keep_weights)


def read_options(*, plugins: Sequence[Path], **chosen: Any) -> Options:
    """Return the options of a command that trains, whose plugins are loaded from now on.

    Raises StoreError if another process writes to its results, UsageError if nobody can read --json, before
    anything takes time.
    """
    if chosen["as_json"]:
        check_open("--json is", ", or leave out --json")
    if not chosen["dry_run"]:
        check_no_writer(chosen["results_directory"])
    waiting = Waiting("reading the data", quiet=chosen["quiet"] or chosen["as_json"])
    if context := click.get_current_context(silent=True):
        context.with_resource(waiting)
    load_plugins(plugins)
    return Options(waiting=waiting, **chosen)


def execute(asked: Asked, options: Options) -> int:
    """Train what is missing, print the tables, and return the exit code: 1 if runs failed."""
    options.waiting.end()
    grids, infos, part = asked.grids, asked.infos, asked.take(options.shard)
    if options.dry_run:
        plan = make_plan(grids, infos, options.results_directory, options.execution, part)
        print_plan(plan, as_json=options.as_json)
        return 0
    load_logs(options.logs)  # before anything is written
    by_fingerprint = {info.fingerprint: info for info in infos}
    with study.open_store(options.results_directory, options.execution, on_wait=say) as store:
        note_kept("Results are stored. Run asymbp report to see them")
        failed = _train(grids, by_fingerprint, store, options, part)
        quiet = options.quiet or options.as_json
        tables, summary = (fill_all(store, grids), []) if quiet else fill_and_summarize(grids, store)
        notices = [] if options.as_json else explain_missing_weights(grids, store, options.keep_weights)
    if not options.as_json:
        notices += [_explain_part(part)] if part else []
        for notice in (*notices, *_explain_failures(failed)):
            click.echo(notice, err=True)
    present(tables, summary, as_json=options.as_json)
    return 1 if failed else 0


def _explain_failures(failed: Mapping[str, str]) -> list[str]:
    """Return how many runs failed, and a line for each; nothing if none did."""
    lines = [f"  {run_id}: {message}" for run_id, message in failed.items()]
    return [f"{count(len(failed), 'run')} failed (details: asymbp show RUN):", *lines] if failed else []


def _explain_part(part: Part) -> str:
    shard = part.shard
    return (
        f"this is {describe_part(part)}. Once all {shard.count} are trained, join them with "
        "asymbp store merge DIR... --results DIR"
    )


def _train(
    grids: Sequence[Grid], infos: Mapping[str, DecodedDataset], store: Store, options: Options, part: Part | None
) -> Mapping[str, str]:
    """Train with a display; return why runs failed, by id."""
    work = study.plan_work(grids, store, part)
    quiet = options.quiet or options.as_json
    progress = _make_progress(grids, infos, store, work, options.execution, quiet)
    display = choose_display(progress, quiet=options.quiet, as_json=options.as_json)
    if work.runs:
        _announce(progress, options.execution, display)
        notices = [*explain_channels(infos.values()), *explain_changed_plugins(work.runs.values(), store)]
        for notice in [] if options.as_json else notices:
            click.echo(notice, err=True)
    command = printable_path(shlex.join(["asymbp", *sys.argv[1:]]))
    with display, observe(display, load_logs(options.logs)) as on_event:
        outcome = study.run(grids, infos, store, options.execution, on_event=on_event, command=command, part=part)
    return outcome.failed


def _make_progress(
    grids: Sequence[Grid],
    infos: Mapping[str, DecodedDataset],
    store: Store,
    work: study.Work,
    execution: Execution,
    quiet: bool,
) -> StudyProgress:
    with Waiting("timing a training step of each method", quiet=quiet or not work.runs):
        forecast = study.forecast(work, infos, execution)
    progress = StudyProgress(
        grids=grids,
        runs=work.runs,
        remaining=work.remaining,
        epoch_cost=forecast.epoch_cost,
        estimate_seconds=forecast.seconds(work.remaining),
        workers=len(execution.devices),
        done_before=len(work.done),
    )
    for run_id, points in store.epochs([*work.done, *work.runs]).items():
        for point in points:
            if point.epoch <= work.start_epochs.get(run_id, point.epoch):  # else it is trained anew
                progress.keep_best(point)
    return progress


def _announce(progress: StudyProgress, execution: Execution, display: Display) -> None:
    seconds = progress.estimate_seconds
    done = f" ({progress.done_before} already done)" if progress.done_before else ""
    runs = count(len(progress.remaining), "run")
    text = f"{runs} to train {describe_execution(execution)}{done}: {describe_seconds(seconds)}"
    if seconds is not None and seconds > _LONG_SECONDS:
        text += f". {SAFE_TO_STOP}"
    display.announce(text)


def present(tables: Sequence[FilledGrid], summary: Sequence[str], *, as_json: bool) -> None:
    """Print a summary, and last the tables: on a terminal they are what is seen. In JSON there are only tables."""
    if as_json:
        cells: list[dict[str, Any]] = list(chain.from_iterable(make_records(tables)))
        print_line(make_line("table", {"cells": cells}))
        return
    from asymbp_cli.cli import console

    out = console.make_console(stderr=False)
    for number, filled in enumerate(tables, start=1):
        above = summary if number == len(tables) else ()
        console.print_result_table(out, make_result_table(filled), above)
