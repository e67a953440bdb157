"""`asymbp store`."""

import sys
from pathlib import Path

import click

from asymbp_cli.cli import options, store_check, store_merge, store_prune
from asymbp_cli.cli.waiting import say
from asymbp_cli.cli.write import SCREEN, check_output, write_bytes
from asymbp_cli.errors import UsageError
from asymbp_cli.text import count, printable_path


@click.group("store")
def command() -> None:
    """Export results to one compact file, merge results of other machines, check them, or tidy up.

    \b
    Example:
      asymbp store export results.jsonl.xz
      asymbp store merge results.jsonl.xz
      asymbp store check
    """


command.add_command(store_merge.command)
command.add_command(store_check.command)
command.add_command(store_prune.command)


@command.command("export", short_help="Write the results to one compact file.")
@click.argument("file", type=options.UserPath(dir_okay=False))
@options.tables
@options.protocols
@options.datasets
@options.results
def export(
    file: Path,
    keys: tuple[str, ...],
    protocols: tuple[str, ...],
    datasets: tuple[str, ...],
    results_directory: Path,
) -> None:
    """Write the results to FILE: runs, epochs, provenance and tables, without checkpoints and kept weights.

    FILE may be -, for standard output.

    Everything by default; a running study as it stands, while a copy of its database alone lacks the latest
    epochs. The same results give the same bytes, compressed with xz. Host names and commands are in the file;
    directories of datasets are not.

    \b
    Example:
      asymbp store export results.jsonl.xz
      asymbp store export table2.jsonl.xz --table 2 --protocol paper --dataset mnist
      asymbp store export - | ssh HOST asymbp store merge -
    """
    from asymbp_cli.analysis.selection import select_grids
    from asymbp_cli.results.export import encode
    from asymbp_cli.results.store import Store

    if file == SCREEN and sys.stdout.isatty():
        raise UsageError("exported results are no text for a terminal. Name a file, or send them through a pipe")
    check_output(file)
    with Store.open(results_directory, create=False, on_wait=say) as store:
        contents = store.contents()
    if keys or protocols or datasets:
        stored = [entry.grid for entry in contents.grids.values()]
        contents = contents.restrict_to(select_grids(stored, keys, protocols, datasets))
    if not contents.runs:
        raise UsageError("there are no runs to export. Run asymbp reproduce --table 2 first, or select others")
    content = encode(contents)
    write_bytes(content, file)
    epochs = count(sum(len(stored.epochs) for stored in contents.runs.values()), "epoch")
    size = f"{count(len(contents.runs), 'run')}, {epochs}, {len(content) / 1000:,.0f} kB"
    target = "the results" if file == SCREEN else printable_path(file)
    click.echo(f"wrote {target}: {size}", err=True)
