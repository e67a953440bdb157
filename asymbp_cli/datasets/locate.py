"""Find a dataset in the data directory, or download it there."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from platformdirs import user_cache_path

from asymbp_cli.datasets import fetch
from asymbp_cli.datasets.archives.names import is_hidden
from asymbp_cli.datasets.archives.signatures import read_mistake
from asymbp_cli.datasets.catalog import CATALOG, DatasetRef, FolderSource, find_entry, parse_dataset
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.datasets.readers import READERS, folder
from asymbp_cli.datasets.readers.base import Absent, FoundDataset, OpenDataset, is_there
from asymbp_cli.datasets.readers.idx import is_idx_name, look_at_idx
from asymbp_cli.errors import DataError, MissingDataError
from asymbp_cli.events import OnProgress
from asymbp_cli.files.paths import environment_path, is_file
from asymbp_cli.text import nearest_path, simplify

_MOST_FOLDERS = 100  # of a data directory, if the datasets are looked for in them


def data_directory(option: Path | None) -> Path:
    """Return the data directory: the option, $ASYMBP_DATA, or a folder in the user's cache directory."""
    return option or environment_path("ASYMBP_DATA") or user_cache_path("asymbp") / "data"


def locate(entry: CatalogEntry, root: Path) -> FoundDataset | Absent:
    """Return a dataset of the catalog from `root`, from one of its folders, or from one that `root` is a part of.

    The published files in a folder precede a stand-in in `root`. Raises DataError if it is unreadable in `root`,
    and SeveralError if several folders hold it.
    """
    read = READERS[entry.key]
    here = read(root)
    if isinstance(here, FoundDataset) and not here.stand_in:
        return here
    below = {folder: found for folder in _folders(root) if (found := _try(read, folder))}
    whole = _choose(entry, below)
    if whole and not (isinstance(here, FoundDataset) and whole.stand_in):
        return whole
    if isinstance(here, FoundDataset):
        return here
    for above in (root.absolute().parent, root.absolute().parent.parent):
        found = _try(read, above)
        if isinstance(found, FoundDataset) and _holds(found.place, root.absolute()):
            return found
    return max([here, *(it for it in below.values() if isinstance(it, Absent))], key=lambda it: len(it.here))


def _try(read: Callable[[Path], FoundDataset | Absent], folder: Path) -> FoundDataset | Absent | None:
    """Return the dataset in a folder, or None if the folder cannot be read: nobody named it."""
    try:
        return read(folder)
    except DataError:
        return None


class SeveralError(DataError):
    """A dataset is in several folders of the data directory."""


def _choose(entry: CatalogEntry, below: Mapping[Path, FoundDataset | Absent]) -> FoundDataset | None:
    """Return the dataset that one of several folders holds; raises SeveralError if several do."""
    found = {folder: it for folder, it in below.items() if isinstance(it, FoundDataset)}
    whole = {folder: it for folder, it in found.items() if not it.stand_in} or found
    if len(whole) > 1:
        names = ", ".join(map(str, whole))
        raise SeveralError(f"{entry.label} is in several folders: {names}. Name one of them with --data-dir.")
    return next(iter(whole.values()), None)


def _folders(root: Path) -> list[Path]:
    """Return the visible folders in `root`; none if there are so many that it is no data directory."""
    try:
        with os.scandir(root) as entries:
            folders = sorted(entry.name for entry in entries if not is_hidden(entry.name) and entry.is_dir())
    except OSError:
        return []
    return [root / name for name in folders] if len(folders) <= _MOST_FOLDERS else []


def _holds(place: Path | None, root: Path) -> bool:
    """Return whether a dataset's files are in the directory that was named, or around it."""
    return place is not None and (place == root or root in place.parents or place in root.parents)


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
    can_fetch = download and bool(entry.archives)
    try:
        dataset = locate(entry, root)
    except SeveralError:
        if not can_fetch:
            raise
        dataset = Absent()
    if can_fetch and (isinstance(dataset, Absent) or dataset.stand_in):
        fetch_all(entry, root, on_progress)
        dataset = locate(entry, root)
    if isinstance(dataset, Absent):
        raise MissingDataError(explain_missing(entry, root, dataset))
    return dataset


def fetch_all(entry: CatalogEntry, root: Path, on_progress: OnProgress | None = None) -> None:
    """Download every archive of a dataset that is not in `root`, packed or unpacked.

    Raises DataError at the end, with all failures.
    """
    problems = []
    for archive in entry.archives:
        packed = root / archive.name
        unpacked = [root / archive.unpacked] if archive.unpacked else []
        if archive.unpacked_md5:
            unpacked.append(packed.with_suffix(""))
        if any(map(is_there, unpacked)):
            continue
        try:
            fetch.fetch(archive, root, on_progress)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(problems))


def explain_missing(entry: CatalogEntry, root: Path, absent: Absent | None = None) -> str:
    """Return the message that a dataset is not in `root`: what is there, what to put there, and its source."""
    if absent and absent.here:
        here = [os.path.relpath(path, root) for path in absent.here]
        there, missing = _list_as(here, "here"), _list_as(absent.missing, "missing")
        message = f"{entry.title} is not whole in {root}: {there}; {missing}. "
    else:
        message = f"{entry.title} is not in {root}.{nearest_path(root, Path.is_dir)} "
        if alike := _list_alike(entry, root):
            message += f"{_list_as(alike, 'there')}, but not in a form or place that is read. "
    message += f"Put there {entry.accepts} (from {entry.source}), or name another directory with --data-dir. "
    if entry.archives:
        return f"{message}To download it, type asymbp data fetch {entry.key}, or add --download to a training"
    return f"{message}Then type asymbp data check {entry.key}. It is not downloaded for you: {entry.by_hand}."


def _list_alike(entry: CatalogEntry, root: Path) -> list[str]:
    """Return the names in a directory that sound like a dataset, the first three."""
    words = [simplify(word) for word in (entry.key, *(Path(a.name).name.split(".")[0] for a in entry.archives))]
    others = [simplify(key) for key in CATALOG if key != entry.key]
    others = [other for other in others if any(word in other for word in words)]  # cifar100 is not cifar10
    try:
        names = sorted(name for name in os.listdir(root) if not is_hidden(name))
    except OSError:
        return []
    simple = {name: simplify(name) for name in names}
    return [
        name
        for name, plain in simple.items()
        if any(word in plain for word in words) and not any(other in plain for other in others)
    ][:3]


def _list_as(names: Sequence[str], what: str) -> str:
    """Return a sentence on names: `a and b are missing`."""
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} {what}"


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
        remedy = "delete them and use --download" if entry.archives else f"get them again from {entry.source}"
        raise DataError(
            f"{label} must have {entry.train_count} training and {entry.test_count} test samples, but its "
            f"files hold {counts[0]} and {counts[1]}. If they are another set, rename them; else {remedy}."
        )


def look_at(dataset: FoundDataset, entry: CatalogEntry) -> None:
    """Raise DataError if a dataset of the catalog would be refused, as far as a glance can tell.

    Folders of classes have their names and counts looked at, published files their first bytes and sizes.
    """
    place = dataset.place
    if place is None:
        return
    if place.is_dir() and entry.draw:  # others would have to be read to be judged
        open_dataset(dataset)
    remedy = f"Delete it and fetch it again: asymbp data fetch {entry.key}"
    for file, size in _list_published(entry, place):
        if kind := read_mistake(file):
            raise DataError(f"{file} is not the published file, but {kind.name}. {remedy}")
        if size and file.stat().st_size != size:
            raise DataError(f"{file} has {file.stat().st_size:,} bytes, not {size:,}. {remedy}")
        if is_idx_name(file.name):
            look_at_idx(file)


def _list_published(entry: CatalogEntry, place: Path) -> Iterator[tuple[Path, int | None]]:
    """Yield the files that are read at a place, with their sizes if these must be the published ones."""
    archives = {Path(archive.name).name: archive for archive in entry.archives}
    if place.is_dir():  # if it has files such as those of MNIST, each is packed or not
        for name in (name for name, archive in archives.items() if archive.unpacked_md5):
            yield from ((file, None) for file in (place / Path(name).stem, place / name) if is_file(file))
    elif place.name in archives:
        for name, archive in archives.items():
            if is_file(place.with_name(name)):
                yield place.with_name(name), archive.size
    else:
        yield place, None
