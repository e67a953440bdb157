"""What is known of a dataset before it is decoded, for `--dry-run`: nothing is decoded or downloaded."""

from pathlib import Path

from asymbp_cli.datasets.catalog import CATALOG, DatasetRef, parse_dataset
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.locate import data_directory, find_dataset
from asymbp_cli.datasets.prepare import find_decoded
from asymbp_cli.errors import MissingDataError


def preview(
    ref: DatasetRef,
    shape: tuple[int, ...],
    *,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    resize: str = "squash",
    download: bool = False,
) -> DecodedDataset:
    """Return `ref` as `prepare` would, if it is decoded; else with the names and counts of the catalogue.

    Then it has no directory, and its fingerprint is no dataset's. What the catalogue does not know of it is empty:
    no classes, 0 samples. Raises as `prepare` for datasets that are missing and may not be downloaded.
    """
    source = parse_dataset(ref) if isinstance(ref, str) else ref
    entry = CATALOG[source] if isinstance(source, str) else None
    can_download = download and entry is not None and bool(entry.archives)
    try:
        dataset = find_dataset(source, data_directory(data_dir))
    except MissingDataError:
        if not can_download:
            raise
        dataset = None
    if dataset and dataset.stand_in and can_download:  # the published files replace it
        dataset = None
    if dataset and (info := find_decoded(dataset, shape, cache_dir=cache_dir, resize=resize)):
        return info
    named = dataset or entry
    assert named is not None
    return DecodedDataset(
        key=named.key,
        label=named.label,
        paper_name=named.paper_name,
        exact=dataset.exact if dataset else True,
        classes=tuple(map(str, range(entry.classes if entry else 0))),
        shape=shape,
        train_count=(entry and entry.train_count) or 0,
        test_count=(entry and entry.test_count) or 0,
        fingerprint=f"not decoded: {named.label}",
        note=named.note,
        directory="",
    )
