"""`asymbp store`."""

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asymbp_cli.cli import options
from asymbp_cli.cli.write import check_output, write_bytes
from asymbp_cli.errors import StoreError, UsageError
from asymbp_cli.paths import FILE_NAME, exists, is_file
from asymbp_cli.text import nearest, printable_path

if TYPE_CHECKING:
    from asymbp_cli.recipe.grid import Grid
    from asymbp_cli.report.document import Listing
    from asymbp_cli.results.contents import Contents, StoredRun
    from asymbp_cli.results.merge import Difference, Merged
    from asymbp_cli.specs.networks import Network


@click.group("store")
def command() -> None:
    """Export results to one compact file, merge results of other machines, or check them.

    \b
    Example:
      asymbp store export results.jsonl.xz
      asymbp store merge results.jsonl.xz
      asymbp store check
    """


@command.command("check")
@options.results
def check(results_directory: Path) -> int:
    """Look for damage in the results: the file, the references, and every run with its epochs.

    Rows that a copy of the file lacks are noticed if there are newer checkpoints next to it. What is wrong is
    printed run by run, and the exit code is 1. Results are only read.

    \b
    Example:
      asymbp store check
      asymbp store check --results other/results
    """
    from asymbp_cli.results.check import check_results
    from asymbp_cli.training import resume

    saved = resume.all_saved_epochs(results_directory / "checkpoints")
    checked = check_results(results_directory, saved)
    for problem in checked.problems:
        click.echo(printable_path(problem))
    place = f"{printable_path(results_directory)}/"
    if not checked.problems:
        click.echo(f"{place}: ok, {checked.runs:,} runs, {checked.epochs:,} epochs")
        return 0
    click.echo(
        f"{place} is damaged. Put back a copy of {FILE_NAME}, or merge the results of one that is whole into new "
        "ones with asymbp store merge",
        err=True,
    )
    return 1


@command.command("export")
@click.argument("file", type=options.UserPath(dir_okay=False))
@options.tables
@click.option(
    "--protocol", "protocols", multiple=True, metavar="NAME", help="Only tables of these protocols (quick, paper)."
)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="NAME",
    help="Only these datasets, as reports or asymbp ls runs name them.",
)
@options.results
def export(
    file: Path,
    keys: tuple[str, ...],
    protocols: tuple[str, ...],
    datasets: tuple[str, ...],
    results_directory: Path,
) -> None:
    """Write the results to FILE: runs, epochs, provenance and tables, without checkpoints.

    Everything by default; a running study as it stands, while a copy of its database alone lacks the latest
    epochs. The same results give the same bytes, compressed with xz. Host names and commands are in the file;
    directories of datasets are not.

    \b
    Example:
      asymbp store export results.jsonl.xz
      asymbp store export table2.jsonl.xz --table 2 --protocol paper --dataset mnist
    """
    from asymbp_cli.results.export import encode
    from asymbp_cli.results.store import Store

    check_output(file)
    with Store.open(results_directory, create=False) as store:
        contents = store.contents()
    if keys or protocols or datasets:
        contents = contents.restrict_to(_select(contents, keys, protocols, datasets))
    if not contents.runs:
        raise UsageError("there are no runs to export. Run asymbp reproduce --table 2 first, or select others")
    content = encode(contents)
    write_bytes(content, file)
    epochs = sum(len(stored.epochs) for stored in contents.runs.values())
    count = f"{len(contents.runs):,} runs, {epochs:,} epochs, {len(content) / 1000:,.0f} kB"
    click.echo(f"wrote {printable_path(file)}: {count}", err=True)


def _select(
    contents: "Contents", keys: Sequence[str], protocols: Sequence[str], datasets: Sequence[str]
) -> "list[Grid]":
    """Return the tables that the options name, with the rows that they name; raises UsageError if one has none."""
    from asymbp_cli.analysis.tables import filter_grids
    from asymbp_cli.recipe.labels import name_datasets, tell_rows_apart

    stored = [stored.grid for stored in contents.grids.values()]
    of_runs = name_datasets(row for grid in stored for row in grid.rows)
    grids = filter_grids(stored, keys)
    _check_names("protocol", protocols, {grid.protocol_label for grid in grids})
    grids = [grid for grid in grids if not protocols or grid.protocol_label in protocols]
    labels = {row.label for grid in grids for row in tell_rows_apart(grid).rows}
    names = [_name_rows(grid, of_runs) for grid in grids]
    _check_names("dataset", datasets, labels, {name for rows in names for row in rows for name in row})
    if not datasets:
        return grids
    wanted = {name.lower() for name in datasets}
    selected = []
    for grid, rows in zip(grids, names, strict=True):
        kept = tuple(compress(grid.rows, [row & wanted for row in rows]))
        if kept:
            selected.append(grid.model_copy(update={"rows": kept}))
    return selected


def _name_rows(grid: "Grid", of_runs: "Mapping[tuple[str, Network | None], str]") -> list[set[str]]:
    """Return the names of each row, in lower case: label, key, and what reports and `asymbp ls runs` call it."""
    from asymbp_cli.recipe.labels import tell_rows_apart

    names = []
    for row, told in zip(grid.rows, tell_rows_apart(grid).rows, strict=True):
        of_run = of_runs[row.dataset, row.network] if row.dataset else row.label
        names.append({name.lower() for name in (row.label, row.key, told.label, of_run)})
    return names


def _check_names(what: str, names: Sequence[str], labels: Set[str], others: Set[str] = frozenset()) -> None:
    known = {label.lower() for label in labels} | others
    for name in names:
        if name.lower() not in known:
            listed = ", ".join(f'"{label}"' for label in sorted(labels))
            raise UsageError(f'no results with the {what} "{name}".{nearest(name, labels)} Available: {listed}')


@command.command("merge")
@click.argument("sources", nargs=-1, required=True, metavar="FILE|DIR...", type=options.UserPath())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list: run ids and tables, source by source.")
@options.results_to_extend
def merge(sources: tuple[Path, ...], as_json: bool, results_directory: Path) -> int:
    """Add exported files, or other results directories, to the results.

    A run that both have with the same counts is one; of an unfinished one the longer training is kept. Runs
    whose counts differ are listed. The results keep theirs, and the exit code is 1. All sources are merged or
    none: nothing is if a file is damaged, or a study is writing to the results. Sources are only read.

    \b
    Example:
      asymbp store merge results.jsonl.xz
      asymbp store merge a.jsonl.xz b.jsonl.xz ../other/results --results results
    """
    from asymbp_cli.results.merge import merge as merge_into
    from asymbp_cli.results.store import Store

    found = [_load(source, results_directory) for source in sources]
    with Store.open(results_directory) as store:
        results = merge_into(found, store)
    named = list(zip(map(printable_path, sources), results, strict=True))
    if as_json:
        click.echo(json.dumps([_record(name, merged) for name, merged in named]))
    else:
        for name, merged in named:
            _print_outcome(name, merged)
    return int(any(merged.different for merged in results))


def _record(name: str, merged: "Merged") -> dict[str, object]:
    return {
        "source": name,
        "new": merged.new,
        "longer": merged.longer,
        "same": merged.same,
        "different": [{"run": difference.run, "epoch": difference.epoch} for difference in merged.different],
        "moved": [asdict(moved) for moved in merged.moved],
    }


def _print_outcome(name: str, merged: "Merged") -> None:
    from asymbp_cli.cli import console

    click.echo(f"{name}: {_count(merged)}")
    for moved in merged.moved:
        cells = "1 cell" if moved.count == 1 else f"{moved.count:,} cells"
        verb = "comes" if moved.count == 1 else "come"
        click.echo(f"{name}: {cells} of {moved.table} ({moved.protocol}) now {verb} from other runs")
    if merged.different:
        listing = _list_differences(merged.different, name)
        console.print_listing(console.make_console(stderr=False), listing)


def _load(source: Path, results_directory: Path) -> "Contents":
    """Return the contents of an exported file or a results directory; raises StoreError, UsageError."""
    from asymbp_cli.results.export import decode
    from asymbp_cli.results.source import read_directory

    if not exists(source):
        raise UsageError(
            f"there is no file or directory {printable_path(source)}. Name a file that asymbp store export has "
            "written, or a results directory"
        )
    if source.name == FILE_NAME:
        raise UsageError(f"{printable_path(source)} is the database of a results directory. Name the directory")
    if is_file(source):
        try:
            return decode(source.read_bytes(), source)
        except OSError as error:
            raise StoreError(f"cannot read {printable_path(source)}: {error.strerror}") from error
    if exists(results_directory) and source.samefile(results_directory):
        raise UsageError(f"{printable_path(source)}/ is the results directory itself. Name another one")
    return read_directory(source)


def _count(merged: "Merged") -> str:
    parts = {
        "new": merged.new,
        "longer than before": merged.longer,
        "already there": merged.same,
        "with other numbers, not merged": merged.different,
    }
    total = sum(map(len, parts.values()))
    details = ", ".join(f"{len(runs):,} {what}" for what, runs in parts.items() if runs)
    return f"{total:,} run{'s' if total > 1 else ''}: {details}" if details else "no runs"


def _list_differences(differences: "Sequence[Difference]", source: str) -> "Listing":
    from asymbp_cli.report.document import Listing

    header = ("run", "what", "epoch", "kept: wrong in training, test", f"{source}: wrong in training, test")
    rows = tuple(_describe_difference(difference) for difference in differences)
    return Listing("Runs with other numbers", header, rows, tuple(_note_reasons(differences)))


def _describe_difference(difference: "Difference") -> tuple[str, ...]:
    from asymbp_cli.specs.methods import method_name

    run, epoch = difference.kept.run, difference.epoch
    sides = (difference.kept, difference.other)
    return (
        difference.run,
        f"{method_name(run.method)} x{run.rate_multiplier:g}, seed {run.seed}",
        "-" if epoch is None else str(epoch),
        *(_describe_side(side, epoch) for side in sides),
    )


def _describe_side(stored: "StoredRun", epoch: int | None) -> str:
    event = next((event for event in stored.epochs if event.epoch == epoch), None)
    if event is None:
        return stored.state or "not done"
    return f"{event.train_wrong:,} of {event.train_seen:,}, {event.test_wrong:,} of {event.test_seen:,}"


def _note_reasons(differences: "Sequence[Difference]") -> Iterator[str]:
    """Yield what happened, and what may explain the differences: other instruction sets or devices."""
    yield "Epoch: the first that differs. The results that were there are kept, and nothing is averaged."
    pairs = [(_processor(difference.kept), _processor(difference.other)) for difference in differences]
    others = [(kept, other) for kept, other in pairs if kept and other and kept != other]
    if others:
        names = "; ".join(f"{kept} here, {other} there" for kept, other in dict.fromkeys(others))
        yield f"Processors, whose bits differ, may be why for {len(others)} of them: {names}."


def _processor(stored: "StoredRun") -> str | None:
    """Return the instruction set of the last attempt at a run, or its device if that is not the CPU."""
    if not stored.attempts:
        return None
    last = stored.attempts[-1]
    return last.instruction_set or (None if last.device.startswith("cpu") else last.device)
