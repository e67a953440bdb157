"""`asymbp export`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from asymbp_cli.cli import options
from asymbp_cli.cli.names import complete
from asymbp_cli.cli.streams import note_kept
from asymbp_cli.cli.waiting import say
from asymbp_cli.cli.write import check_output, write_bytes, write_text
from asymbp_cli.errors import UsageError
from asymbp_cli.text import count, printable_path

if TYPE_CHECKING:
    from asymbp_cli.results.summaries import RunDetail
    from asymbp_cli.training.weight_files import WeightFile


@click.command("export")
@click.argument("run", required=False, shell_complete=complete("runs"))
@click.option(
    "--curves",
    type=options.UserPath(dir_okay=False),
    metavar="FILE",
    help="Write every epoch of every run to FILE.csv or FILE.parquet.",
)
@click.option(
    "--weights",
    type=options.UserPath(dir_okay=False),
    metavar="FILE",
    help="Write the weights of RUN, which training kept (--keep-weights), to FILE.safetensors.",
)
@options.tables
@options.protocols
@options.datasets
@options.results
def command(
    run: str | None,
    curves: Path | None,
    weights: Path | None,
    keys: tuple[str, ...],
    protocols: tuple[str, ...],
    datasets: tuple[str, ...],
    results_directory: Path,
) -> None:
    """Write results to files of other programs: curves, or the weights of one run.

    Curves have one row for each run and epoch, also if several tables have the run: its tables are in one column.
    Measures have a column for each layer. In csv, text that a spreadsheet would compute (=...) has an apostrophe
    before it. Parquet needs pip install 'asymbp[parquet]'.

    Weights have the names and layouts of PyTorch's own modules. The lines of Python that load them are printed.
    RUN is the beginning of a run's id (asymbp ls runs).

    \b
    Example:
      asymbp export --curves curves.csv
      asymbp export --curves table2.parquet --table 2 --dataset mnist
      asymbp export 3f2a --weights weights.safetensors
    """
    if (curves is None) == (weights is None):
        raise UsageError("write either --curves FILE.csv, or RUN --weights FILE.safetensors")
    names = keys, protocols, datasets
    if curves is not None:
        if run is not None:
            raise UsageError("RUN belongs to --weights. For --curves select with --table, --protocol, --dataset")
        _export_curves(curves, names, results_directory)
    elif weights is not None:
        if run is None or any(names):
            raise UsageError("--weights needs RUN, the beginning of a run's id, and nothing that selects tables")
        _export_weights(run, weights, results_directory)


def _export_curves(file: Path, names: tuple[tuple[str, ...], ...], results_directory: Path) -> None:
    """Write the curves of the tables, protocols and datasets in `names`; of everything if nothing is named."""
    from asymbp_cli.analysis.selection import select_grids
    from asymbp_cli.report.curve_files import CURVE_FORMATS
    from asymbp_cli.report.curves import make_curves
    from asymbp_cli.results.store import Store

    write = CURVE_FORMATS.get(file.suffix.lower())
    if write is None:
        raise UsageError(f"{printable_path(file)} must end in {' or '.join(CURVE_FORMATS)}")
    check_output(file)
    with Store.open(results_directory, create=False, on_wait=say) as store:
        contents = store.contents()
    stored = [entry.grid for entry in contents.grids.values()]
    found = make_curves(contents, select_grids(stored, *names) if any(names) else None)
    if not found.records:
        raise UsageError("there are no epochs to export. Run asymbp reproduce --table 2 first, or select others")
    write_bytes(write(found), file)
    runs = len({record["run"] for record in found.records})
    click.echo(
        f"wrote {printable_path(file)}: {count(runs, 'run')}, {count(len(found.records), 'epoch')}", err=True
    )


def _export_weights(prefix: str, file: Path, results_directory: Path) -> None:
    """Write the weights of a run, and print how to load them."""
    from asymbp_cli.results.store import Store
    from asymbp_cli.specs.modules import list_modules, write_loading
    from asymbp_cli.training.weight_files import read_weights, weights_directory

    if file.suffix.lower() != ".safetensors":
        raise UsageError(f"{printable_path(file)} must end in .safetensors")
    with Store.open(results_directory, create=False, on_wait=say) as store:
        detail = store.run(prefix)
    weights = read_weights(weights_directory(results_directory), detail.summary.id)
    if weights is None:
        raise UsageError(_explain_absence(detail))
    _check_epoch(weights, detail)
    write_bytes(weights.content, file)
    note_kept("The file is written")
    method, best = detail.run.method, detail.summary.best
    error = f"{100 * weights.test_wrong / weights.test_seen:.2f} %"
    which = f"epoch {weights.epoch}, test error {error} ({weights.test_wrong:,} of {weights.test_seen:,})"
    click.echo(f"wrote {printable_path(file)}: {which}", err=True)
    if best and weights.which == "best" and best[2] != weights.epoch:
        click.echo(f"tables show epoch {best[2]}, {_explain_other_epoch(best[2], detail)}", err=True)
    modules = list_modules(detail.run.network, detail.run.protocol, method.batch_norm)
    write_text(write_loading(modules, str(file)), None)


def _explain_absence(detail: "RunDetail") -> str:
    """Return why a run has no weights, and what to do."""
    run, state = detail.summary.id, detail.summary.state
    if state is None or state == "failed":
        return f"run {run} has not ended, and weights are written then. Run the command that trains it again"
    if all(epoch.diverged for epoch in detail.epochs):
        return (
            f"run {run} diverged in its first epoch, so no weights of it give an error. Choose another run "
            "(asymbp ls runs)"
        )
    again = "To get them, train it again into another directory: --keep-weights best --results DIR"
    if state == "diverged":
        return (
            f"run {run} diverged later than its first epoch, and was trained without --keep-weights best, so the "
            f"weights before that are not there. {again}"
        )
    return (
        f"run {run} was trained without --keep-weights, or in other results, which merging leaves its weights in: "
        f"copy weights/{run}.safetensors from there. {again}"
    )


def _explain_other_epoch(shown: int, detail: "RunDetail") -> str:
    """Return why the epoch that tables show has no weights, though a worse one has."""
    if any(epoch.epoch == shown and epoch.diverged for epoch in detail.epochs):
        return "in which the run had diverged: no weights give that error. This is the best epoch before"
    return "which was trained before weights were kept. This is the best later one"


def _check_epoch(weights: "WeightFile", detail: "RunDetail") -> None:
    """Raise StoreError if weights are not of a stored epoch: the results may have come from elsewhere."""
    from asymbp_cli.errors import StoreError

    counts = {epoch.epoch: (epoch.test_wrong, epoch.test_seen) for epoch in detail.epochs}
    if counts.get(weights.epoch) != (weights.test_wrong, weights.test_seen):
        raise StoreError(
            f"the weights of run {detail.summary.id} are of epoch {weights.epoch} with {weights.test_wrong} wrong "
            "answers, which the results do not have: both were not trained together. Delete the weights"
        )
