"""`asymbp store prune`."""

import re
import sys
from pathlib import Path

import click

from asymbp_cli.cli import options
from asymbp_cli.cli.streams import note_kept
from asymbp_cli.cli.waiting import say
from asymbp_cli.errors import UsageError
from asymbp_cli.text import count, printable_path

_RUN_ID = re.compile("[0-9a-f]{16}")


@click.command("prune", short_help="Delete what no table needs.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@options.results
def command(yes: bool, results_directory: Path) -> None:
    """Delete what no table needs: unfinished runs that none names, and checkpoints from which no run continues.

    Both may be left if a table was dropped as damaged, or if a later version plans it otherwise. What is deleted
    is listed first. Runs that have ended stay, and so do their weights. Nothing is deleted while a study is
    writing to the results.

    \b
    Example:
      asymbp store prune
      asymbp store prune --yes --results other/results
    """
    from asymbp_cli.results import prune
    from asymbp_cli.results.store import Store
    from asymbp_cli.training import resume

    place = f"{printable_path(results_directory)}/"

    with Store.open(results_directory, create=False, on_wait=say) as store, store.writing(say):
        runs = prune.find_unfinished(store, wanted := prune.find_wanted(store))
        files = _find_checkpoints(store.checkpoints, wanted - store.finished_ids())
        if not runs and not files:
            click.echo(f"{place}: tables need everything, nothing is deleted")
            return
        for run in (run for run in store.runs() if run.id in runs):
            click.echo(
                f"run {run.id}: {run.method} on {run.dataset}, {run.epochs} of {count(run.epochs_wanted, 'epoch')}"
            )
        for file in files:
            click.echo(f"{printable_path(file)}: {file.stat().st_size / 1000:,.0f} kB")
        _confirm(yes)
        note_kept("What no table needs is deleted")
        prune.delete_runs(store, runs)
        resume.discard(store.checkpoints, [file.stem for file in files])
    click.echo(f"{place}: deleted {count(len(runs), 'run')} and {count(len(files), 'checkpoint')}")


def _find_checkpoints(directory: Path, needed: set[str]) -> list[Path]:
    """Return the checkpoints of runs that are not needed; files of other names are not asymbp's."""
    files = [file for file in sorted(directory.glob("*.safetensors")) if _RUN_ID.fullmatch(file.stem)]
    return [file for file in files if file.stem not in needed and file.is_file()]


def _confirm(yes: bool) -> None:
    """Ask unless there is no need; raises UsageError if nobody can answer, click.Abort if the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here whether to delete this. Add --yes to delete it")
    click.confirm("Delete all of this?", abort=True)
