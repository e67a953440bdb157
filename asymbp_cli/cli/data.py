"""`asymbp data`."""

import io
import json
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

from asymbp_cli.cli import options
from asymbp_cli.cli.counter import progress
from asymbp_cli.cli.write import write_bytes
from asymbp_cli.datasets.catalog import CATALOG, DatasetRef, dataset_ref, find
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.errors import AsymbpError, DataError, UsageError
from asymbp_cli.text import printable_path


@click.group("data")
def command() -> None:
    """See, fetch and check the datasets.

    \b
    Example:
      asymbp data ls
      asymbp data fetch mnist cifar10
      asymbp data check flowers17
    """


@command.command("ls")
@options.data_dir
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def listing(data_dir: Path | None, as_json: bool) -> None:
    """List the datasets: which are here, how the others can come.

    The digits and the paper's fifteen.

    \b
    Example:
      asymbp data ls
    """
    from asymbp_cli.datasets.prepare import data_directory
    from asymbp_cli.datasets.survey import state

    root = data_directory(data_dir)
    rows = [
        {
            "name": row.key,
            "in the paper": row.paper_name or "-",
            "state": state(row, root),
            "train": row.train_count,
            "test": row.test_count,
            "classes": row.classes,
            "MB": row.megabytes,
            "licence": row.licence,
            "source": row.source,
        }
        for row in CATALOG.values()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    lines = [["-" if value is None else str(value) for value in row.values()] for row in rows]
    click.echo(tabulate(lines, list(rows[0]), tablefmt="simple", disable_numparse=True))
    click.echo(
        f"\nin {printable_path(root)}; asymbp data fetch NAME gets what can be fetched and explains the others"
    )


@command.command("where")
@options.data_dir
@options.cache_dir
def where(data_dir: Path | None, cache_dir: Path | None) -> None:
    """Print where datasets and their decoded forms lie.

    \b
    Example:
      asymbp data where
    """
    from asymbp_cli.datasets.prepare import cache_directory, data_directory

    click.echo(f"data   {printable_path(data_directory(data_dir))}  (--data-dir, or $ASYMBP_DATA)")
    click.echo(f"cache  {printable_path(cache_directory(cache_dir))}  (--cache-dir, or $ASYMBP_CACHE)")


@command.command("fetch")
@click.argument("names", nargs=-1, required=True, metavar="NAME...|all")
@options.data_dir
@options.quiet
def fetching(names: tuple[str, ...], data_dir: Path | None, quiet: bool) -> None:
    """Download datasets, or explain how to get them.

    What a publisher offers is downloaded. A broken download goes on where it ended; a file appears only when its
    checksum is right.

    \b
    Example:
      asymbp data fetch mnist flowers17
      asymbp data fetch all
    """
    from asymbp_cli.datasets.prepare import data_directory, fetch_all, missing
    from asymbp_cli.datasets.survey import state

    root, problems = data_directory(data_dir), []
    everything = "all" in names
    named = [find(name) for name in names if name != "all"]
    for row in CATALOG.values() if everything else named:
        found = state(row, root)
        if found == "ready":
            click.echo(f"{row.key}: is here; asymbp data check {row.key} reads it through")
        elif not row.archives:
            text = missing(row, root)
            click.echo(f"{row.key}: {text}", err=True) if everything else problems.append(text)
        else:
            try:
                fetch_all(row, root, None if quiet else progress())
                click.echo(f"{row.key}: fetched; asymbp data check {row.key} reads it through")
            except DataError as error:
                problems.append(str(error))
    _raise(problems)


@command.command("check")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@options.data_dir
@options.quiet
def checking(names: tuple[str, ...], data_dir: Path | None, quiet: bool) -> None:
    """Read datasets through: checksums, counts, every image.

    Without names, those that are here.

    \b
    Example:
      asymbp data check mnist
      asymbp data check ./photos
    """
    from asymbp_cli.datasets.prepare import data_directory
    from asymbp_cli.datasets.survey import state

    root, problems = data_directory(data_dir), []
    here = [key for key, row in CATALOG.items() if state(row, root) not in ("can be fetched", "needs you")]
    for ref in [dataset_ref(name) for name in names] or here:
        try:
            found = _survey(ref, root, quiet)
        except (DataError, UsageError) as error:
            problems.append(str(error))
            continue
        train, test = (sum(found.counts[split]) for split in ("train", "test"))
        click.echo(
            f"{found.located.label}: ok, {len(found.classes)} classes, {train:,} to train, {test:,} to test"
        )
    _raise(problems)


@command.command("show")
@click.argument("name")
@options.data_dir
@click.option(
    "--images", type=click.Path(path_type=Path), metavar="FILE.png", help="Write a contact sheet of its images."
)
@options.quiet
def showing(name: str, data_dir: Path | None, images: Path | None, quiet: bool) -> None:
    """Show what a dataset holds, and its images.

    Source, drawn classes, counts per class, sizes; with --images a contact sheet.

    \b
    Example:
      asymbp data show mnist --images mnist.png
    """
    from asymbp_cli.datasets.prepare import data_directory
    from asymbp_cli.datasets.survey import contact_sheet

    ref = dataset_ref(name)
    found = _survey(ref, data_directory(data_dir), quiet)
    located = found.located
    lines = _about(CATALOG[ref]) if isinstance(ref, str) else []
    sizes = " / ".join("x".join(map(str, shape)) for shape in found.shapes)
    lines += [
        ["label", located.label],
        ["note", located.note or "-"],
        ["sizes", f"{sizes} (smallest / median / largest)"],
    ]
    click.echo(tabulate(lines, tablefmt="plain", disable_numparse=True))
    rows = list(zip(found.classes, found.counts["train"], found.counts["test"], strict=True))
    click.echo("\n" + tabulate(rows, ["class", "train", "test"], tablefmt="simple"))
    if images:
        content = io.BytesIO()
        contact_sheet(found, _shape(ref)).save(content, "PNG")
        write_bytes(content.getvalue(), images)
        click.echo(f"wrote {images}", err=True)


def _about(row: CatalogEntry) -> list[list[str]]:
    return [
        ["what", row.title],
        ["in the paper", row.paper_name or "-"],
        ["source", row.source],
        ["licence", row.licence],
        ["cite", row.citation],
    ]


def _shape(ref: DatasetRef) -> tuple[int, ...]:
    from asymbp_cli.recipe.grid import network_for

    return network_for(ref if isinstance(ref, str) else "folder").input


def _survey(ref: DatasetRef, root: Path, quiet: bool) -> Any:
    from asymbp_cli.datasets.prepare import locate_any
    from asymbp_cli.datasets.survey import survey

    return survey(locate_any(ref, root), _shape(ref), None if quiet else progress())


def _raise(problems: list[str]) -> None:
    if problems:
        raise AsymbpError("\n".join(problems))
