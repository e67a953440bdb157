"""What is known of a dataset before it is decoded, for plans: no image is decoded, and nothing downloaded."""

from asymbp_cli.datasets.catalog import CATALOG, DatasetRef, parse_dataset
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.datasets.locate import data_directory, find_dataset, look_at, open_dataset
from asymbp_cli.datasets.prepare import find_decoded
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import MissingDataError


def preview(
    ref: DatasetRef, shape: tuple[int, ...], source: DataSource, *, resize: str = "squash"
) -> DecodedDataset:
    """Return `ref` as `prepare` would, if it is decoded; else with the names and counts of the catalogue.

    Then it has no directory, and its fingerprint is no dataset's. What the catalogue does not know of it is empty:
    no classes, 0 samples. Raises as `prepare` for datasets that are missing and may not be downloaded; if they are
    not `required`, those of the catalogue need not be there. So it does for files that a glance shows to be
    damaged, and for a user's own without images for two classes: they are listed.
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
        return info
    if dataset and entry:
        look_at(dataset, entry)
    elif dataset:
        open_dataset(dataset)
    known = dataset or entry
    assert known is not None
    train, test = _counts(entry)
    return DecodedDataset(
        key=known.key,
        label=known.label,
        paper_name=known.paper_name,
        exact=dataset.exact if dataset else True,
        classes=tuple(map(str, range(entry.classes if entry else 0))),
        shape=shape,
        train_count=train,
        test_count=test,
        fingerprint=f"not decoded: {known.label}",
        note=known.note,
        directory="",
    )


def _counts(entry: CatalogEntry | None) -> tuple[int, int]:
    """Return the training and test samples as published, else as the paper's tables imply, else 0."""
    if entry is None:
        return 0, 0
    if entry.train_count is not None and entry.test_count is not None:
        return entry.train_count, entry.test_count
    return entry.paper_counts or (0, 0)
