"""`asymbp store check`."""

from pathlib import Path

import click

from asymbp_cli.cli import options
from asymbp_cli.cli.streams import note_kept
from asymbp_cli.files.paths import FILE_NAME
from asymbp_cli.text import count, printable_path


@click.command("check", short_help="Look for damage in the results.")
@click.option("--drop", is_flag=True, help="Delete what is damaged, and keep a copy of everything as it was.")
@options.results
def command(drop: bool, results_directory: Path) -> int:
    """Look for damage in the results: in the file, and in every row by its checksum and its meaning.

    Rows that a copy of the file lacks are noticed if there are newer checkpoints next to it. What is wrong is
    printed run by run, and the exit code is 1. Results are only read, unless --drop is given: then damaged runs
    and tables are deleted, and datasets with their runs. The commands that made them make them again.

    \b
    Example:
      asymbp store check
      asymbp store check --drop --results other/results
    """
    from asymbp_cli.results.check import check_results
    from asymbp_cli.training import resume

    if drop and _drop(results_directory):
        return 0
    saved = resume.all_saved_epochs(results_directory / "checkpoints")  # first: the database is never behind
    checked = check_results(results_directory, saved)
    for problem in (*checked.problems, *checked.missing):
        click.echo(printable_path(problem))
    place = f"{printable_path(results_directory)}/"
    if not checked.problems and not checked.missing:
        click.echo(f"{place}: ok, {count(checked.runs, 'run')}, {count(checked.epochs, 'epoch')}")
        if checked.late:
            are = "is older than its checksum" if checked.late == 1 else "are older than their checksums"
            click.echo(f"{count(checked.late, 'run')} {are}: earlier damage to them may not be seen")
        return 0
    if checked.problems:
        remedy = (
            f"is damaged. Put back a copy of {FILE_NAME}, or delete what is damaged with asymbp store check --drop"
        )
    else:
        remedy = (
            f"lacks rows. Put back {FILE_NAME} with its {FILE_NAME}-wal, or repeat the commands that trained "
            "these runs: they start anew"
        )
    click.echo(f"{place} {remedy}", err=True)
    return 1


def _drop(results_directory: Path) -> bool:
    """Delete what is damaged, and say what it was; return whether anything was."""
    from asymbp_cli.results.drop import drop_damage
    from asymbp_cli.training import resume

    dropped = drop_damage(results_directory)
    checkpoints = results_directory / "checkpoints"
    present = {path.stem for path in checkpoints.glob("*.safetensors")}
    resume.discard(checkpoints, present & dropped.runs)
    place = f"{printable_path(results_directory)}/"
    if dropped.kept is None:
        click.echo(f"{place}: nothing is damaged, nothing is deleted")
        return False
    note_kept("What is damaged is deleted")
    for problem in dropped.problems:
        click.echo(printable_path(problem))
    kinds = {"run": dropped.runs, "table": dropped.tables, "dataset": dropped.datasets}
    deleted = (count(len(ids), what) for what, ids in kinds.items() if ids)
    click.echo(
        f"{place} is whole again. Deleted: {', '.join(deleted) or 'nothing'}. Everything as it was is in "
        f"{printable_path(dropped.kept)}. Repeat the commands that trained the runs, or merge a whole copy with "
        "asymbp store merge",
        err=True,
    )
    return True
