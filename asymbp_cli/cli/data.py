"""`asymbp data`."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asymbp_cli.cli import options
from asymbp_cli.cli.asked_options import check_each
from asymbp_cli.cli.counter import show_progress
from asymbp_cli.cli.names import complete
from asymbp_cli.cli.streams import note_kept
from asymbp_cli.cli.write import check_output, write_bytes
from asymbp_cli.datasets.catalog import CATALOG, DatasetRef, find_entry, parse_dataset
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.errors import AsymbpError, DataError, UsageError
from asymbp_cli.text import printable_path

if TYPE_CHECKING:
    from asymbp_cli.datasets.survey import Survey


@click.group("data")
def command() -> None:
    """List, download and check the datasets.

    \b
    Example:
      asymbp data ls
      asymbp data fetch mnist cifar10
      asymbp data check flowers17
    """


#: what `data ls` prints of `_row`
_SHOWN = ("name", "in the paper", "state", "MB", "licence", "source")
#: states that do not explain themselves
_STATES = {
    "stand-in": "a copy or another split is used in place of the published files. `--download` replaces it",
    "unreadable": "something of that name is there. `asymbp data check NAME` says what is wrong with it",
}


@command.command("ls")
@options.data_dir
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@options.wide
def list_datasets(data_dir: Path | None, as_json: bool, wide: bool) -> None:
    """List which datasets are installed, and how to get the others.

    What each of them is says asymbp ls datasets; --json has both.

    \b
    Example:
      asymbp data ls
    """
    from asymbp_cli.datasets.locate import data_directory

    root = data_directory(data_dir)
    rows = [_row(entry, root) for entry in CATALOG.values()]
    if as_json:
        click.echo(json.dumps(rows))
        return
    from asymbp_cli.cli import console
    from asymbp_cli.report.document import Listing

    lines = tuple(tuple("-" if row[name] is None else str(row[name]) for name in _SHOWN) for row in rows)
    states = {row["state"] for row in rows}
    notes = (
        f"Data directory: {printable_path(root)}. `asymbp data fetch NAME` downloads a dataset, or explains how "
        "to get it. `asymbp ls datasets` says what each is.",
        *(f"{state}: {meaning}." for state, meaning in _STATES.items() if state in states),
    )
    listing = Listing("", _SHOWN, lines, notes, least=("source", "licence", "in the paper"))
    console.print_listing(console.make_console(stderr=False), listing, wide=wide)


def _row(entry: CatalogEntry, root: Path) -> dict[str, str | int | None]:
    from asymbp_cli.datasets.survey import find_state

    return {
        "name": entry.key,
        "in the paper": entry.paper_name or "-",
        "state": find_state(entry, root),
        "train": entry.train_count,
        "test": entry.test_count,
        "classes": entry.classes,
        "MB": entry.megabytes,
        "licence": entry.licence,
        "source": entry.source,
    }


@command.command("where")
@options.data_dir
@options.cache_dir
def print_directories(data_dir: Path | None, cache_dir: Path | None) -> None:
    """Print the directories of datasets and of their decoded forms.

    \b
    Example:
      asymbp data where
    """
    from asymbp_cli.datasets.cache import cache_directory
    from asymbp_cli.datasets.locate import data_directory

    click.echo(f"data   {printable_path(data_directory(data_dir))}  (--data-dir, or $ASYMBP_DATA)")
    click.echo(f"cache  {printable_path(cache_directory(cache_dir))}  (--cache-dir, or $ASYMBP_CACHE)")


@command.command("fetch")
@click.argument(
    "names",
    nargs=-1,
    required=True,
    metavar="NAME...|all",
    callback=check_each,
    shell_complete=complete("datasets or all"),
)
@options.data_dir
@options.quiet
def fetch(names: tuple[str, ...], data_dir: Path | None, quiet: bool) -> None:
    """Download datasets, or explain how to get them.

    A broken download resumes at its end. A file appears only if its checksum is right.

    \b
    Example:
      asymbp data fetch mnist flowers17
      asymbp data fetch all
    """
    from asymbp_cli.datasets.locate import data_directory, explain_missing, fetch_all
    from asymbp_cli.datasets.survey import find_state

    root = data_directory(data_dir)
    problems: list[str] = []
    everything = "all" in names
    named = [find_entry(name) for name in names if name != "all"]
    for entry in CATALOG.values() if everything else named:
        if find_state(entry, root) == "ready":
            click.echo(f"{entry.key}: present. `asymbp data check {entry.key}` verifies it.")
        elif entry.archives:
            try:
                fetch_all(entry, root, None if quiet else show_progress())
                note_kept("What was fetched is there. Run asymbp data ls to see it")
                click.echo(f"{entry.key}: fetched. `asymbp data check {entry.key}` verifies it.")
            except DataError as error:
                problems.append(str(error))
        elif everything:
            click.echo(f"{entry.key}: {explain_missing(entry, root)}", err=True)
        else:
            problems.append(explain_missing(entry, root))
    _raise(problems)


@command.command("check")
@click.argument("names", nargs=-1, metavar="[NAME...]", callback=check_each, shell_complete=complete("datasets"))
@options.data_dir
@options.quiet
def check(names: tuple[str, ...], data_dir: Path | None, quiet: bool) -> None:
    """Verify datasets: checksums, counts, every image.

    Without names, all that are installed.

    \b
    Example:
      asymbp data check mnist
      asymbp data check ./photos
    """
    from asymbp_cli.datasets.decoded import describe_shared
    from asymbp_cli.datasets.locate import data_directory

    root = data_directory(data_dir)
    problems: list[str] = []
    for ref in [parse_dataset(name) for name in names] or _installed(root):
        try:
            surveyed = _survey(ref, root, quiet)
        except (DataError, UsageError) as error:
            problems.append(str(error))
            continue
        click.echo(_summarize(surveyed))
        if surveyed.shared:
            text = describe_shared(surveyed.shared, sum(surveyed.counts["test"]))
            click.echo(f"warning: {surveyed.dataset.label}: {text}", err=True)
    _raise(problems)


def _summarize(surveyed: "Survey") -> str:
    """Return one line: classes, counts, images in neither split; of the user's own also the note."""
    train, test = (sum(surveyed.counts[split]) for split in ("train", "test"))
    text = f"{surveyed.dataset.label}: ok, {len(surveyed.classes)} classes, {train:,} to train, {test:,} to test"
    if surveyed.unused:
        text += f", {surveyed.unused:,} in neither"
    return f"{text} ({surveyed.note})" if surveyed.note and surveyed.dataset.key == "folder" else text


def _installed(root: Path) -> list[str]:
    from asymbp_cli.datasets.survey import find_state

    missing = ("can be fetched", "manual download")
    return [key for key, entry in CATALOG.items() if find_state(entry, root) not in missing]


@command.command("show")
@click.argument("name", shell_complete=complete("datasets"))
@options.data_dir
@click.option(
    "--images",
    type=options.UserPath(dir_okay=False),
    metavar="FILE.png",
    help="Write a contact sheet of its images.",
)
@options.quiet
def show(name: str, data_dir: Path | None, images: Path | None, quiet: bool) -> None:
    """Show the contents of a dataset, and its images.

    Source, drawn classes, counts per class, sizes; with --images a contact sheet.

    \b
    Example:
      asymbp data show mnist --images mnist.png
    """
    from asymbp_cli.datasets.locate import data_directory
    from asymbp_cli.datasets.survey import make_contact_sheet
    from asymbp_cli.specs.networks import dimensions

    if images:
        check_output(images)
    if images and images.suffix.lower() != ".png":
        raise UsageError(f"{printable_path(images)} must end in .png: a contact sheet is a PNG")
    ref = parse_dataset(name)
    surveyed = _survey(ref, data_directory(data_dir), quiet)
    facts = _describe(CATALOG[ref]) if isinstance(ref, str) else []
    facts += [
        ("label", surveyed.dataset.label),
        ("note", surveyed.note or "-"),
        ("sizes", f"{' / '.join(map(dimensions, surveyed.shapes))} (smallest / median / largest)"),
        ("content", surveyed.content),
    ]
    _print(surveyed, facts)
    if images:
        content = io.BytesIO()
        make_contact_sheet(surveyed, _shape(ref)).save(content, "PNG")
        write_bytes(content.getvalue(), images)
        click.echo(f"wrote {images}", err=True)


def _print(surveyed: "Survey", facts: list[tuple[str, str]]) -> None:
    from asymbp_cli.cli import console
    from asymbp_cli.report.document import Listing

    out = console.make_console(stderr=False)
    counts = zip(surveyed.classes, surveyed.counts["train"], surveyed.counts["test"], strict=True)
    rows = tuple((name, str(train), str(test)) for name, train, test in counts)
    console.print_facts(out, facts)
    out.print()
    console.print_listing(out, Listing("", ("class", "train", "test"), rows, whole=("class",)))


def _describe(entry: CatalogEntry) -> list[tuple[str, str]]:
    return [
        ("what", entry.title),
        ("in the paper", entry.paper_name or "-"),
        ("source", entry.source),
        ("licence", entry.licence),
        ("cite", entry.citation),
    ]


def _shape(ref: DatasetRef) -> tuple[int, ...]:
    from asymbp_cli.recipe.networks import network_for

    return network_for(ref if isinstance(ref, str) else "folder").input


def _survey(ref: DatasetRef, root: Path, quiet: bool) -> "Survey":
    from asymbp_cli.datasets.locate import find_dataset
    from asymbp_cli.datasets.survey import survey

    return survey(find_dataset(ref, root), _shape(ref), None if quiet else show_progress())


def _raise(problems: list[str]) -> None:
    if problems:
        raise AsymbpError("\n".join(problems))
