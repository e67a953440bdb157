"""What is known of a dataset before it is decoded, for plans: no image is decoded, and nothing downloaded."""

from asymbp_cli.datasets.catalog import CATALOG, DatasetRef, parse_dataset
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.datasets.locate import data_directory, find_dataset, look_at, open_dataset
from asymbp_cli.datasets.prepare import find_decoded, hold_out_of
from asymbp_cli.datasets.readers.base import FoundDataset
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.datasets.splits import check_held_out
from asymbp_cli.errors import MissingDataError


def preview(
    ref: DatasetRef, shape: tuple[int, ...], source: DataSource, *, resize: str = "squash", held_out: float = 0.0
) -> DecodedDataset:
    """Return `ref` as `prepare` would, if it is decoded; else with the names and counts of the catalogue.

    Then it has no directory, and its fingerprint is no dataset's. A user's own files are listed and counted.
    Raises as `prepare` for those without images for two classes, for files that a glance shows to be damaged, and
    for datasets that are missing and may not be downloaded; if they are not `required`, those of the catalogue
    need not be there. If a share is `held_out`, a user's own files are refused as `prepare` does.
    """
    named = parse_dataset(ref) if isinstance(ref, str) else ref
    entry = CATALOG[named] if isinstance(named, str) else None
    can_download = source.download and entry is not None and bool(entry.archives)
    try:
        dataset = find_dataset(named, data_directory(source.data_dir))
    except MissingDataError:
        if not can_download and (source.required or entry is None):
            raise
        dataset = None
    if dataset and dataset.stand_in and can_download:  # the published files replace it
        dataset = None
    if dataset and (info := find_decoded(dataset, shape, source.cache_dir, resize)):
        return hold_out_of(info, held_out) if held_out else info
    if dataset and entry:
        look_at(dataset, entry)
    known = dataset or entry
    assert known is not None
    classes, train, test = _count(entry, dataset, holds_out=held_out > 0)
    return DecodedDataset(
        key=known.key,
        label=known.label,
        paper_name=known.paper_name,
        exact=dataset.exact if dataset else True,
        classes=tuple(map(str, range(classes))),
        shape=shape,
        train_count=train,
        test_count=test,
        fingerprint=f"not decoded: {known.label}",
        note=known.note,
        channels=dataset.channels() if dataset else None,
        directory="",
    )


def _count(entry: CatalogEntry | None, dataset: FoundDataset | None, *, holds_out: bool) -> tuple[int, int, int]:
    """Return classes, training and test samples: as published, else as the paper's tables imply, or as listed."""
    if entry is None:
        assert dataset is not None
        opened = open_dataset(dataset)
        if holds_out:
            check_held_out(dataset.label, opened.train_labels, opened.classes)
        return len(opened.classes), len(opened.train_labels), len(opened.test_labels)
    if entry.train_count is not None and entry.test_count is not None:
        return entry.classes, entry.train_count, entry.test_count
    return entry.classes, *(entry.paper_counts or (0, 0))
