"""Find a dataset in the data directory, or download it there."""

from pathlib import Path

from platformdirs import user_cache_path

from asymbp_cli.datasets import fetch
from asymbp_cli.datasets.catalog import CATALOG, DatasetRef, FolderSource, find_entry, parse_dataset
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.datasets.readers import READERS, folder
from asymbp_cli.datasets.readers.base import FoundDataset, OpenDataset
from asymbp_cli.errors import DataError, MissingDataError
from asymbp_cli.events import OnProgress
from asymbp_cli.paths import environment_path


def data_directory(option: Path | None) -> Path:
    """Return the data directory: the option, $ASYMBP_DATA, or a folder in the user's cache directory."""
    return option or environment_path("ASYMBP_DATA") or user_cache_path("asymbp") / "data"


def locate(entry: CatalogEntry, root: Path) -> FoundDataset | None:
    """Return a dataset of the catalog from `root`, None if it is missing. Raises DataError if it is unreadable."""
    return READERS[entry.key](root)


def find_dataset(
    ref: DatasetRef, root: Path, *, download: bool = False, on_progress: OnProgress | None = None
) -> FoundDataset:
    """Return the dataset that `ref` names; `download` fetches a missing one, or replaces a stand-in.

    Raises MissingDataError with the dataset's source, DataError if it cannot be read or downloaded, and
    UsageError if no dataset has the name.
    """
    source = parse_dataset(ref) if isinstance(ref, str) else ref
    if isinstance(source, FolderSource):
        return folder.locate(source)
    entry = find_entry(source)
    dataset = locate(entry, root)
    if download and entry.archives and (dataset is None or dataset.stand_in):
        fetch_all(entry, root, on_progress)
        dataset = locate(entry, root)
    if dataset is None:
        raise MissingDataError(explain_missing(entry, root))
    return dataset


def fetch_all(entry: CatalogEntry, root: Path, on_progress: OnProgress | None = None) -> None:
    """Download every archive of a dataset into `root`; raises DataError if that fails."""
    for archive in entry.archives:
        fetch.fetch(archive, root, on_progress)


def explain_missing(entry: CatalogEntry, root: Path) -> str:
    """Return the message that a dataset is not in `root`: what to put there, and its source."""
    message = (
        f"{entry.title} is not in {root}. Put there {entry.accepts} (from {entry.source}), or name another "
        "directory with --data-dir. "
    )
    if entry.archives:
        return f"{message}To download it, add --download or type asymbp data fetch {entry.key}"
    return f"{message}Then type asymbp data check {entry.key}. It is not downloaded for you: {entry.by_hand}."


def open_dataset(dataset: FoundDataset) -> OpenDataset:
    """Open a dataset. Raises DataError if it is damaged or incomplete.

    A known dataset that lacks images is refused: its error rates would bear a wrong name.
    """
    opened = dataset.open()
    for labels in opened.labels.values():
        if len(labels) and not (labels.min() >= 0 and labels.max() < len(opened.classes)):
            span = f"labels from {labels.min()} to {labels.max()} for {len(opened.classes)} classes"
            raise DataError(f"{dataset.label} has {span}. Its files are damaged; get them again.")
    if entry := CATALOG.get(dataset.key):
        _check_counts(entry, dataset.label, opened)
    return opened


def _check_counts(entry: CatalogEntry, label: str, opened: OpenDataset) -> None:
    if len(opened.classes) != entry.classes:
        raise DataError(f"{label} must have {entry.classes} classes, not {len(opened.classes)}.")
    counts = len(opened.train_labels), len(opened.test_labels)
    if entry.train_count and counts != (entry.train_count, entry.test_count):
        remedy = "Delete them and use --download" if entry.archives else f"Get them again from {entry.source}"
        raise DataError(
            f"{label} must have {entry.train_count} training and {entry.test_count} test samples, but its "
            f"files hold {counts[0]} and {counts[1]}. {remedy}."
        )
