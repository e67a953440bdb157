"""`asymbp show`."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import yaml

from asymbp_cli.cli import options
from asymbp_cli.cli.names import complete
from asymbp_cli.cli.waiting import say
from asymbp_cli.text import format_moment

if TYPE_CHECKING:
    from asymbp_cli.events import EpochEnded
    from asymbp_cli.report.document import Listing
    from asymbp_cli.results.store import Store
    from asymbp_cli.results.summaries import Attempt, RunDetail


@click.command("show")
@click.argument("run", required=False, shell_complete=complete("runs"))
@options.tables
@options.protocols
@options.datasets
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME",
    shell_complete=complete("stored columns"),
    help="Only cells of these columns (uSF+BM). May be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or one a line for each cell.")
@options.results
def command(
    run: str | None,
    keys: tuple[str, ...],
    protocols: tuple[str, ...],
    datasets: tuple[str, ...],
    columns: tuple[str, ...],
    as_json: bool,
    results_directory: Path,
) -> None:
    """Show one run: its recipe, epochs and provenance. RUN is the beginning of its id (asymbp ls runs). Or show
    cells of tables: the number, its runs, and the command that trains the cell alone.

    \b
    Example:
      asymbp show 3f2a
      asymbp show 3f2a --json
      asymbp show --table 2 --dataset digits --column uSF+BM
    """
    from asymbp_cli.errors import UsageError
    from asymbp_cli.results.store import Store

    selects_cells = any((keys, protocols, datasets, columns))
    if (run is None) != selects_cells:
        raise UsageError(
            "name either RUN, the beginning of a run's id (asymbp ls runs), or cells with --table, --dataset and "
            "--column"
        )
    with Store.open(results_directory, create=False, on_wait=say) as store:
        if run is None:
            _show_cells(store, keys, protocols, datasets, columns, as_json=as_json)
        else:
            _show_run(store.run(run), as_json=as_json)


def _show_cells(
    store: "Store",
    keys: Sequence[str],
    protocols: Sequence[str],
    datasets: Sequence[str],
    columns: Sequence[str],
    *,
    as_json: bool,
) -> None:
    from asymbp_cli.analysis.selection import select_grids
    from asymbp_cli.analysis.tables import fill_all
    from asymbp_cli.cli import console
    from asymbp_cli.report.cell_page import describe_page, find_cells, list_runs, make_page_record

    pages = find_cells(fill_all(store, select_grids(store.grids(), keys, protocols, datasets)), columns)
    summaries = store.summaries({run_id for page in pages for run_id in page.runs})
    for i, page in enumerate(pages):
        if as_json:
            click.echo(json.dumps(make_page_record(page, summaries)))
            continue
        click.echo("\n" * (i > 0) + "\n".join(describe_page(page)))
        if (listing := list_runs(page, summaries)).rows:
            console.print_listing(console.make_console(stderr=False), listing)


def _show_run(detail: "RunDetail", *, as_json: bool) -> None:
    from asymbp_cli.cli import console
    from asymbp_cli.report.records import make_run_record

    if as_json:
        click.echo(json.dumps(make_run_record(detail)))
        return
    click.echo("\n".join(_describe_run(detail)))
    click.echo("\n" + yaml.safe_dump(detail.run.model_dump(mode="json"), sort_keys=False))
    screen = console.make_console(stderr=False)
    for line in (line for attempt in detail.attempts for line in _describe_attempt(attempt)):
        console.print_text(screen, line)
    click.echo()
    console.print_listings(screen, [_list_epochs(detail.epochs), *_list_measures(detail.epochs)])


def _describe_run(detail: "RunDetail") -> Iterator[str]:
    summary, is_held_out = detail.summary, detail.run.protocol.validation_fraction > 0
    yield f"run {summary.id}: {summary.method} x{summary.rate_multiplier:g} on {summary.dataset}"
    best = summary.best
    which, why = ("", ", which held-out data select") if is_held_out else ("best ", "")
    error = f", {which}test error {summary.best_percent:.2f} % in epoch {best[2]}{why}" if best else ""
    yield f"state: {summary.progress}{error}"


def _describe_attempt(attempt: "Attempt") -> Iterator[str]:
    started = format_moment(attempt.started, "%Y-%m-%d %H:%M:%S")
    outcome = attempt.outcome or ("running" if attempt.began else "waiting")
    yield f"attempt {started} from epoch {attempt.start_epoch}: {outcome}, {_describe_place(attempt)}"
    if attempt.message:
        yield f"  {attempt.message}"


def _describe_place(attempt: "Attempt") -> str:
    if not attempt.began:
        return "no worker began it" if attempt.outcome else "no worker has begun it"
    from asymbp_cli.results.provenance import describe_software

    software = describe_software(attempt.software)
    instructions = f" ({attempt.instruction_set})" if attempt.instruction_set else ""
    checkout = f", checkout {attempt.git}" if attempt.git else ""
    return f"{attempt.device}{instructions} on {attempt.host}, {software}{checkout}"


def _list_epochs(epochs: "Sequence[EpochEnded]") -> "Listing":
    from asymbp_cli.report.document import Listing

    header = ("epoch", "rate", "train loss", "train error %", "test loss", "test error %", "seconds")
    rows = (
        (
            f"{epoch.epoch}",
            f"{epoch.rate:.3g}",
            f"{epoch.train_loss:.4f}",
            f"{100 * epoch.train_wrong / epoch.train_seen:.2f}" if epoch.train_seen else "-",
            f"{epoch.test_loss:.4f}",
            f"{epoch.test_percent:.2f}",
            f"{epoch.seconds:.1f}",
        )
        for epoch in epochs
    )
    return Listing("Epochs", header, tuple(rows))


def _list_measures(epochs: "Sequence[EpochEnded]") -> "Iterator[Listing]":
    """Yield a listing for each measure: layers beside each other, an epoch a line."""
    from asymbp_cli.report.document import Listing
    from asymbp_cli.specs.measures import title_of

    for key in dict.fromkeys(key for epoch in epochs for key in epoch.measures):
        measured = [(epoch.epoch, epoch.measures[key]) for epoch in epochs if key in epoch.measures]
        layers = sorted({layer for _, values in measured for layer in values})
        header = ("epoch", *(f"layer {layer}" if layer else "network" for layer in layers))
        rows = tuple(
            (f"{epoch}", *(_format_value(values.get(layer)) for layer in layers)) for epoch, values in measured
        )
        title = title_of(key)
        yield Listing(f"{title[0].upper()}{title[1:]}", header, rows)


def _format_value(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
